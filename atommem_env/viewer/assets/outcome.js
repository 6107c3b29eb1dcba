// How an episode ended: predictions, and where each unit of evidence went.

const FIRST_OUTCOMES = 30;

/** The numbers of an episode's questions, the one that is asked first. */
function askedFirst(size, asked) {
  const numbers = [...Array(size).keys()].filter((number) => number !== asked);
  return asked >= 0 ? [asked, ...numbers] : numbers;
}

const WHICH = {
  "": ["all questions", () => true],
  right: ["right", (question) => question.em === 1],
  wrong: ["wrong", (question) => question.em < 1],
  unanswerable: ["cannot be answered", (question, about) => about.unanswerable],
};
let sought = {text: "", which: ""}; // which questions of a long list are looked for, kept from step to step

/** The questions: prediction, gold, scores, and where each unit of evidence went. */
function outcome(row, trace, step, goTo) {
  const asked = trace && trace.steps[step - 1].phase === 1 ? trace.steps[step - 1].cursor : -1;
  const many = row.questions.length > FIRST_OUTCOMES;
  const order = many ? askedFirst(row.questions.length, asked) : [...row.questions.keys()];
  const firsts = new Map(trace ? firstSteps(trace).map((first) => [trace.steps[first - 1].cursor, first]) : []);
  // On a narrow page the list is below the step.
  const above = () => getComputedStyle(aside).position === "static" && scrollTo(0, 0);
  const jump = (number) => {
    goTo(number);
    above();
  };
  const make = (number) => () => {
    const question = row.questions[number];
    const about = row.task.questions[number];
    const scores = [["EM", question.em], ["F1", question.f1], ["cover EM", question.cover_em]];
    if (question.official !== undefined) scores.unshift(["official", question.official]);
    return h(
      "div",
      {class: `ending ${question.em === 1 ? "right" : "wrong"} ${number === asked ? "asked" : ""}`},
      h(
        "p",
        {class: "question"},
        h("span", {class: "number"}, number + 1),
        firsts.has(number)
          ? h("a", {class: "link", href: episodeHash(row, firsts.get(number)), onclick: above}, about.question)
          : about.question,
        about.type && h("span", {class: "tag"}, about.type),
        about.unanswerable && h("span", {class: "tag warn"}, "cannot be answered"),
      ),
      prediction(question),
      h("p", null, h("span", {class: "label"}, "gold"), about.answers.join("  |  ")),
      h("p", {class: "sub"}, scores.map(([name, value]) => `${name} ${percent(value)}`).join("  ·  ")),
      evidence(row, trace, number, jump),
    );
  };
  const list = h("div");
  const note = h("p", {class: "sub"});
  const show = () => {
    const found = order.filter(
      (number) => number === asked || looksFor(row.questions[number], row.task.questions[number]),
    );
    note.textContent = `${found.length === order.length ? "" : `${found.length} of `}${count(order.length, "question")}`;
    fill(list, listed("endings", found.map(make), FIRST_OUTCOMES, false));
  };
  const change = (name) => (event) => {
    sought = {...sought, [name]: event.target.value};
    show();
  };
  const find =
    many &&
    h(
      "div",
      {class: "find"},
      h("input", {
        type: "search",
        placeholder: "find a question",
        "aria-label": "find a question",
        value: sought.text,
        oninput: change("text"),
      }),
      h(
        "select",
        {"aria-label": "which questions", onchange: change("which")},
        Object.entries(WHICH).map(([name, [title]]) =>
          h("option", {value: name, selected: name === sought.which}, title),
        ),
      ),
      note,
    );
  const aside = h("aside", {class: "outcome"}, find, list);
  if (!many) sought = {text: "", which: ""};
  show();
  return aside;
}

/** Whether a question is one that is looked for. */
function looksFor(question, about) {
  const texts = [about.question, about.type, question.prediction, ...about.answers];
  return (
    WHICH[sought.which][1](question, about) &&
    texts.some((text) => String(text ?? "").toLowerCase().includes(sought.text.toLowerCase()))
  );
}

function prediction(question) {
  return h(
    "p",
    null,
    h("span", {class: "label"}, "said"),
    question.prediction === null
      ? h("i", {class: "none"}, "forfeited")
      : h("span", {class: question.em === 1 ? "good" : "bad"}, question.prediction),
  );
}

function evidence(row, trace, number, jump) {
  const question = row.questions[number];
  if (!row.task.questions[number].evidence) return h("p", {class: "sub"}, "its evidence is not in the data");
  if (!question.evidence)
    return h("p", {class: "sub"}, "the policy keeps text outside memory: its evidence says nothing");
  if (!trace || !trace.events)
    return h(
      "div",
      {class: "stages"},
      STAGES.map((stage) => h("span", {class: "chip"}, `${stage} ${percent(question.evidence[stage])}`)),
    );
  return trace.task.units.map(([of, title, start, end, role], unit) =>
    of !== number
      ? null
      : h(
          "div",
          {class: "evidence"},
          h(
            "p",
            {class: "unit-text", title: trace.task.text.slice(start, end)},
            badge(unit),
            role === "superseded" && h("span", {class: "tag warn"}, "superseded"),
            h("b", null, title),
            " ",
            oneLine(trace.task.text.slice(start, end)),
          ),
          h("div", {class: "stages"}, eventChips(trace, unit, jump)),
        ),
  );
}

function eventChips(trace, unit, jump) {
  const events = trace.events[unit];
  const reached = (kind) => events.some((event) => event[0] === kind);
  const where = (id) => (id === null ? "" : ` in ${entryName(id)}`);
  const chips = events.map(([kind, step, id, operation]) =>
    h(
      "button",
      {
        class: `chip ${kind}`,
        onclick: () => jump(step),
        title: `${kind} at step ${step}${where(id)}; click to go there`,
      },
      kind === "lost"
        ? `lost at step ${step}: ${cause(trace, step, id, operation)}`
        : `${kind} ${step}${kind === "kept" ? "" : where(id)}`,
    ),
  );
  const gone = events.length > 0 && events[events.length - 1][0] === "lost";
  const missing = gone
    ? null
    : !reached("seen")
      ? "never seen"
      : !reached("written")
        ? "never written"
        : !reached("kept")
          ? "not kept"
          : !reached("read")
            ? "never read"
            : null;
  return [...chips, missing && h("span", {class: "chip missing"}, missing)];
}

function cause(trace, step, id, at) {
  const operation = trace.steps[step - 1].action[at];
  if (operation.evicted === id) return `${entryName(id)} pushed out by Create ${entryName(operation.id)}`;
  return `${operation.op === "delete" ? "Delete" : "Update"} ${entryName(id)}`;
}
