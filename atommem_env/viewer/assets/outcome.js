// How an episode ended: predictions, and where each unit of evidence went.

/** The questions: prediction, gold, scores, and where each unit of evidence went. */
function outcome(row, trace, step, jump) {
  const asked = trace && trace.steps[step - 1].phase === 1 ? trace.steps[step - 1].cursor : -1;
  return h(
    "aside",
    {class: "outcome"},
    row.questions.map((question, number) =>
      h(
        "div",
        {class: `ending ${question.em === 1 ? "right" : "wrong"} ${number === asked ? "asked" : ""}`},
        h(
          "p",
          {class: "question"},
          h("span", {class: "number"}, number + 1),
          row.task.questions[number].question,
        ),
        prediction(question),
        h("p", null, h("span", {class: "label"}, "gold"), row.task.questions[number].answers.join("  |  ")),
        h(
          "p",
          {class: "sub"},
          `EM ${percent(question.em)}  ·  F1 ${percent(question.f1)}  ·  cover EM ${percent(question.cover_em)}`,
        ),
        evidence(row, trace, number, jump),
      ),
    ),
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
  return trace.task.units.map(([of, title, start, end], unit) =>
    of !== number
      ? null
      : h(
          "div",
          {class: "evidence"},
          h(
            "p",
            {class: "unit-text", title: trace.task.text.slice(start, end)},
            badge(unit),
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
