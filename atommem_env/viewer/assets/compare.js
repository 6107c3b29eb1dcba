// Two episodes of one task, side by side.

/** Which of two places of a task comes first: below 0 the left one. */
function inOrder(task, [phase, cursor], [otherPhase, otherCursor]) {
  if (!task.stream) return phase - otherPhase || cursor - otherCursor;
  const at = (p, c) => task.stream.findIndex(([kind, number]) => kind === p && number === c);
  return at(phase, cursor) - at(otherPhase, otherCursor);
}

/** The places that either episode was at: [phase, cursor, which step there]. */
function places(traces) {
  const found = new Map();
  for (const trace of traces) {
    let last = "",
      visit = 0;
    for (const step of trace.steps) {
      const here = `${step.phase}/${step.cursor}`;
      visit = here === last ? visit + 1 : 0;
      last = here;
      found.set(`${here}/${visit}`, [step.phase, step.cursor, visit]);
    }
  }
  const {task} = traces[0];
  return [...found.values()].sort((a, b) => inOrder(task, a, b) || a[2] - b[2]);
}

/** The step of `trace` at a place, or the last one before it; `exact` tells which. */
function stepAt(trace, [phase, cursor, visit]) {
  let found = 1,
    exact = false,
    last = "",
    visits = 0;
  trace.steps.forEach((step, number) => {
    const here = `${step.phase}/${step.cursor}`;
    visits = here === last ? visits + 1 : 0;
    last = here;
    const order = inOrder(trace.task, [step.phase, step.cursor], [phase, cursor]) || visits - visit;
    if (order <= 0) found = number + 1;
    if (order === 0) exact = true;
  });
  return {step: found, exact};
}

function showComparison(pair, traces, wanted) {
  const [left, right] = pair;
  const others = EPISODES.filter((other) => other.taskNumber === left.taskNumber);
  const chooser = (side) =>
    h(
      "select",
      {
        "aria-label": side ? "right" : "left",
        onchange: (event) =>
          go(
            side
              ? compareHash(left, EPISODES[event.target.value])
              : compareHash(EPISODES[event.target.value], right),
          ),
      },
      others.map((other) => h("option", {value: other.number, selected: other === pair[side]}, other.policy)),
    );
  const tasks = RUN.tasks.filter(
    (task) =>
      pair.every((row) => BY_KEY.has(key(left.env.name, row.policy, task.index))) &&
      RUN.envs[task.env].name === left.env.name,
  );
  const neighbour = (by) => {
    const next = tasks[tasks.indexOf(left.task) + by];
    if (next) go(compareHash(...pair.map((row) => BY_KEY.get(key(left.env.name, row.policy, next.index)))));
  };
  const name = h("b", null, `${left.policy} next to ${right.policy}`);
  taskTop(left, name, "task", neighbour, chooser(0), chooser(1));
  const complete = traces.every(Boolean);
  const all = complete ? places(traces) : [];
  const walk = walking(wanted, all.length, (number) => compareHash(left, right, number));
  const here = all[walk.at - 1];
  const alone = (side) => episodeHash(pair[side], complete ? stepAt(traces[side], here).step : 1);
  place = {
    kind: "compare",
    ...walk,
    episode: neighbour,
    compare: () => go(alone(0)),
    back: () => go(episodeHash(left)),
  };
  const columns = pair.map((row, side) =>
    h(
      "div",
      {class: "side"},
      h(
        "h2",
        null,
        h("a", {href: alone(side)}, row.policy),
        " ",
        engineName(row),
        h(
          "span",
          {class: "sub"},
          `EM ${percent(row.em)}  ·  F1 ${percent(row.f1)}  ·  ${count(row.steps, "step")}`,
        ),
      ),
      complete
        ? sideStep(traces[side], here)
        : h("p", {class: "no-trace"}, row.why || "The other episode has no steps in this page."),
    ),
  );
  const makeLines = () => all.map(([phase, cursor, visit], number) =>
    h(
      "button",
      {
        class: `line ${phase === 0 ? "reading" : "answering"}`,
        onclick: () => place.to(number + 1),
      },
      h("span", {class: "number"}, number + 1),
      h(
        "span",
        {class: "where"},
        `${phase === 0 ? "chunk" : "question"} ${cursor + 1}${visit ? ", again" : ""}`,
      ),
    ),
  );
  const both = h(
    "div",
    {class: "both"},
    complete && (here[0] === 0 ? chunkBox : questionBox)(traces[0], here[1]),
    h("div", {class: "sides"}, columns),
    bothOutcomes(pair, traces, complete && here[0] === 1 ? here[1] : -1),
  );
  showWalk("compare", key("compare", left.number, right.number), walk.at, makeLines, both);
}

function sideStep(trace, here) {
  const {step, exact} = stepAt(trace, here);
  const row = trace.row;
  const ending =
    here[0] === 1 &&
    h(
      "div",
      {class: `ending ${row.questions[here[1]].em === 1 ? "right" : "wrong"}`},
      prediction(row.questions[here[1]]),
      evidence(row, trace, here[1], (number) => go(episodeHash(row, number))),
    );
  const memory = remembered(trace, step, FIRST_BESIDE);
  return exact
    ? [
        h("p", {class: "sub"}, `step ${step} of ${trace.steps.length}`),
        ending,
        retrieved(trace, step),
        acted(trace, step),
        said(trace, step),
        memory,
      ]
    : [
        h(
          "p",
          {class: "none"},
          `It has no step here. Its memory is that after step ${step} of ${trace.steps.length}.`,
        ),
        ending,
        memory,
      ];
}

/** A table's rows of questions, the one that is asked first, and a button for the rest of many. */
function listedRows(size, asked, make) {
  const order = size > FIRST_OUTCOMES ? askedFirst(size, asked) : [...Array(size).keys()];
  const some = (from, to) => order.slice(from, to).map(make);
  if (size <= FIRST_OUTCOMES) return some(0);
  const rest = h(
    "button",
    {class: "rest", onclick: () => last.replaceWith(...some(FIRST_OUTCOMES))},
    `show ${size - FIRST_OUTCOMES} more`,
  );
  const last = h("tr", null, h("td", {class: "left", colspan: 3}, rest));
  return [...some(0, FIRST_OUTCOMES), last];
}

function bothOutcomes(pair, traces, asked) {
  const cell = (row, trace, number) =>
    h(
      "td",
      {class: "left"},
      prediction(row.questions[number]),
      evidence(row, trace, number, (step) => go(episodeHash(row, step))),
    );
  return section(
    "Outcome",
    null,
    h(
      "table",
      {class: "both-outcomes"},
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          h("th", {class: "left"}, "question"),
          pair.map((row) => h("th", {class: "left"}, row.policy)),
        ),
      ),
      h(
        "tbody",
        null,
        listedRows(pair[0].task.questions.length, asked, (number) => {
          const question = pair[0].task.questions[number];
          return h(
            "tr",
            null,
            h(
              "td",
              {class: "left"},
              h("p", {class: "question"}, question.question),
              h("p", null, h("span", {class: "label"}, "gold"), question.answers.join("  |  ")),
            ),
            pair.map((row, side) => cell(row, traces[side], number)),
          );
        }),
      ),
    ),
  );
}
