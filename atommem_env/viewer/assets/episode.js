// One episode: its steps, what each showed and did, and the memory after it.

const REASONS = {
  malformed: "not a well-formed operation",
  empty: "the content is blank",
  unknown_id: "no entry has this id",
  disabled: "this environment does not allow it",
  capacity: "the store is full",
  too_long: "the content is longer than allowed",
  already_answered: "this action has answered already",
  wrong_phase: "no question is asked yet",
};

function placeName(trace, step) {
  const {phase, cursor} = trace.steps[step - 1];
  return phase === 0 ? `chunk ${cursor + 1}` : `question ${cursor + 1}`;
}

/** The date at a step: of the last session shown, or of the question; "" without one. */
function dateAt(trace, step) {
  const {phase, cursor} = trace.steps[step - 1];
  const dates = phase === 0 ? trace.task.dates : trace.task.asked;
  return ((dates && dates[cursor]) || "").replace("T", " ");
}

function showEpisode(row, trace, wanted) {
  const others = EPISODES.filter((other) => other.taskNumber === row.taskNumber && other !== row);
  const at = rows.indexOf(row);
  if (at >= 0) chosen = at;
  const neighbour = (by) => {
    const next = (at < 0 ? EPISODES : rows)[(at < 0 ? row.number : at) + by];
    if (next) go(episodeHash(next));
  };
  const compare = h(
    "select",
    {
      "aria-label": "compare",
      id: "compare",
      onchange: (event) => event.target.value && go(compareHash(row, EPISODES[event.target.value])),
    },
    h("option", {value: ""}, "compare with …"),
    others.map((other) => h("option", {value: other.number}, other.policy)),
  );
  const name = [h("b", null, row.policy), engineName(row)];
  taskTop(row, name, "episode", neighbour, facts(row), others.length > 0 && compare);
  const walk = walking(wanted, trace ? trace.steps.length : 0, (number) => episodeHash(row, number));
  place = {
    kind: "episode",
    ...walk,
    question: trace && ((by) => walk.to(questionFrom(trace, walk.at, by))),
    episode: neighbour,
    compare: () => others.length && go(compareHash(row, others[0])),
    back: () => go(tableHash()),
  };
  if (!trace) {
    fill(
      main,
      h(
        "div",
        {class: "episode"},
        h(
          "div",
          {class: "no-trace"},
          h("h2", null, "The steps of this episode are not in this page"),
          h("p", null, row.why),
        ),
        outcome(row, null, null),
      ),
    );
    return;
  }
  const step = walk.at;
  showWalk(
    "episode",
    key("episode", row.number),
    step,
    () => trace.steps.map((_, number) => stepLine(trace, number + 1)),
    h(
      "div",
      {class: "step"},
      stepHead(trace, step),
      observed(trace, step),
      acted(trace, step),
      said(trace, step),
      remembered(trace, step),
    ),
    outcome(row, trace, step, (number) => go(episodeHash(row, number))),
  );
}

/** The top of a page on a task: where one is, what stands below it on the left, and the way to the neighbours. */
function taskTop(row, name, what, neighbour, ...left) {
  fill(
    top_,
    crumbs(row.env.label, `task ${row.task.index}`, name),
    h(
      "div",
      {class: "bar-row"},
      generatedTag(row.env),
      left,
      h("span", {class: "space"}),
      goldButton(),
      h("button", {onclick: () => neighbour(-1), title: `previous ${what} (p)`}, "‹ p"),
      h("button", {onclick: () => neighbour(1), title: `next ${what} (n)`}, "n ›"),
    ),
  );
}

/** Where one is among `size` places (from 1; the nearest one to `wanted`), and what the keys do there. */
function walking(wanted, size, hash) {
  const near = (number) => Math.min(Math.max(1, number), Math.max(1, size));
  const at = near(wanted);
  const to = (number) => size > 0 && near(number) !== at && go(hash(near(number)), true);
  return {at, to, step: (by) => to(at + by), first: () => to(1), last: () => to(size)};
}

let listing = {}; // the list of places that was made last, and whose

/** Fill the page with a list of places, scrolled as the one before it, and what is at the place `at` of it. */
function showWalk(kind, whose, at, makeLines, ...there) {
  const before = main.querySelector("nav.steps");
  const offset = before ? before.scrollTop : 0;
  if (listing.whose !== whose || listing.steps !== before) {
    listing = {whose, steps: h("nav", {class: "steps", "aria-label": "steps"}, makeLines())};
    fill(main, h("div", {class: kind}, listing.steps));
    listing.steps.scrollTop = offset;
  }
  const {steps} = listing;
  while (steps.nextSibling) steps.nextSibling.remove();
  append(steps.parentNode, there);
  const now = steps.children[at - 1];
  const was = steps.querySelector(".now");
  if (was) was.classList.remove("now");
  if (!now) return;
  now.classList.add("now");
  now.scrollIntoView({block: "nearest"});
}

/** The first step of the next question after step `at`, or of the one before it. */
function questionFrom(trace, at, by) {
  const firsts = firstSteps(trace);
  if (by > 0) return firsts.find((first) => first > at) || at;
  const here = firsts.filter((first) => first <= at);
  return here[here.length - (trace.steps[at - 1].phase === 1 ? 2 : 1)] || at;
}

/** The step at which each question comes first, in the order in which they are asked. */
function firstSteps(trace) {
  return trace.steps.flatMap(({phase, cursor}, number) => {
    const last = trace.steps[number - 1];
    return phase === 1 && !(last && last.phase === 1 && last.cursor === cursor) ? [number + 1] : [];
  });
}

function facts(row) {
  const costs = Object.entries(row.costs).map(
    ([name, value]) => `${name.replace("_", " ")} ${value.toLocaleString("en")}`,
  );
  return h(
    "span",
    {class: "facts"},
    [
      `EM ${percent(row.em)}`,
      `F1 ${percent(row.f1)}`,
      count(row.steps, "step"),
      count(row.looks, "look"),
      `at most ${count(row.memory_peak, "entry", "entries")}`,
      `${count(row.refused, "operation")} refused`,
      ...costs,
    ].join("  ·  "),
  );
}

function goldButton() {
  return h(
    "button",
    {
      class: gold ? "on" : "",
      "aria-pressed": String(gold),
      title: "mark the gold evidence (g)",
      onclick: toggleGold,
    },
    "gold",
  );
}

function toggleGold() {
  gold = !gold;
  route();
}

const CREDITS = {em: "EM", f1: "F1", cover_em: "cover EM", kept: "evidence kept", read: "evidence read"};

/** What a write is worth: by how much the episode's score would be lower had it been refused. */
function worth(trace, value) {
  const score = CREDITS[trace.credit.score];
  const change = value ? `${percent(Math.abs(value))} ${value > 0 ? "lower" : "higher"}` : "the same";
  return h(
    "span",
    {
      class: `tag worth ${value > 0 ? "gain" : value < 0 ? "bad" : ""}`,
      title: `${score} would be ${change} had this write been refused, and all questions answered again`,
    },
    `${score} ${value ? signed(value) : "±0"}`,
  );
}

const GLYPHS = {create: "+", read: "?", update: "~", delete: "−", answer: "="};

function stepLine(trace, number) {
  const step = trace.steps[number - 1];
  const kinds = {};
  let refused = 0;
  for (const operation of step.action) {
    if (operation.refused) refused++;
    else kinds[operation.op] = (kinds[operation.op] || 0) + 1;
  }
  const values = step.action.map((operation) => operation.value || 0);
  const sums = [sum(values.filter((value) => value > 0)), sum(values.filter((value) => value < 0))];
  const happened = trace.uses.get(number) || [];
  const dots = ["written", "lost", "read"].map((kind) => {
    const units = happened.filter((event) => event.kind === kind).map((event) => `e${event.unit + 1}`);
    return units.length
      ? h("span", {class: `dot ${kind}`, title: `evidence ${kind}: ${units.join(" ")}`})
      : null;
  });
  return h(
    "button",
    {
      class: `line ${step.phase === 0 ? "reading" : "answering"}`,
      onclick: () => place.to(number),
    },
    h("span", {class: "number"}, number),
    h("span", {class: "where"}, placeName(trace, number)),
    h("span", {class: "date", title: dateAt(trace, number)}, dateAt(trace, number).slice(0, 10)),
    h("span", {class: "dots"}, dots),
    sums
      .filter(Boolean)
      .map((value) =>
        h(
          "span",
          {class: value > 0 ? "worth gain" : "worth loss", title: "the sum of what its writes are worth"},
          signed(value),
        ),
      ),
    h(
      "span",
      {class: "kinds"},
      Object.entries(kinds).map(([kind, times]) =>
        h("span", {class: kind, title: count(times, kind)}, GLYPHS[kind] + (times > 1 ? times : "")),
      ),
      refused > 0 &&
        h("span", {class: "refused", title: `${refused} refused`}, `✕${refused > 1 ? refused : ""}`),
    ),
  );
}

function stepHead(trace, number) {
  const step = trace.steps[number - 1];
  const total = step.phase === 0 ? trace.task.chunks.length : trace.row.questions.length;
  return h(
    "h2",
    null,
    `Step ${number} of ${trace.steps.length}`,
    h(
      "span",
      {class: "sub"},
      `${step.phase === 0 ? "reading chunk" : "answering question"} ${step.cursor + 1} of ${total}  ·  ${count(step.looks, "look")} left` +
        (dateAt(trace, number) ? `  ·  ${dateAt(trace, number)}` : "") +
        (step.reward ? `  ·  reward ${decimal(step.reward)}` : ""),
    ),
  );
}

function section(title, note, ...children) {
  return h("section", null, h("h3", null, title, note && h("span", {class: "sub"}, note)), ...children);
}

/** What the observation showed: the chunk or the question, and what was read. */
function observed(trace, number) {
  const step = trace.steps[number - 1];
  return [
    step.phase === 0 ? chunkBox(trace, step.cursor) : questionBox(trace, step.cursor),
    retrieved(trace, number),
  ];
}

function chunkBox(trace, cursor) {
  const [start, end, tokens] = trace.task.chunks[cursor];
  const box = h("div", {class: "chunk", tabindex: 0}, spanNodes(trace, start, end, true));
  const marks = [...box.querySelectorAll("mark")];
  const chips = marks.map((mark) =>
    h(
      "button",
      {class: "unit", title: "show it in the chunk", onclick: () => reveal(mark)},
      mark.dataset.unit,
    ),
  );
  const reveal = (mark) => {
    box.scrollTop = mark.offsetTop - 60;
  };
  if (marks.length) requestAnimationFrame(() => reveal(marks[0]));
  const none = gold && !marks.length ? "no gold evidence here" : null;
  return section(`Chunk ${cursor + 1}`, [`${count(tokens, "token")} `, gold && [chips, none]], box);
}

function questionBox(trace, cursor) {
  return section(
    `Question ${cursor + 1}`,
    null,
    h("p", {class: "question"}, trace.row.task.questions[cursor].question),
  );
}

const FIRST_QUERIES = 12;
const DENSE = 4; // with more, an item is a line
const FIRST_CARDS = 60;
const FIRST_ENTRIES = 100;
const FIRST_BESIDE = 15; // where two episodes stand side by side

function retrieved(trace, number) {
  const step = trace.steps[number - 1];
  if (!step.queries.length) return null;
  const memory = trace.memory(number).before.entries;
  const held = trace.held(number - 1);
  const hit =
    ([id, score]) =>
    () =>
      h(
        "div",
        {class: "entry"},
        h(
          "header",
          null,
          h("b", null, entryName(id)),
          badges(trace, number, held.get(id)),
          h("span", {class: "relevance", title: "the retriever's score"}, score.toFixed(2)),
        ),
        content(trace, memory.get(id)),
      );
  const makes = step.queries.map((query, at) => () => {
    const hits = step.retrieved.filter(([, , from]) => from === at);
    return h(
      "div",
      {class: "query"},
      h("p", {class: "query-text"}, h("span", {class: "op-name read"}, "query"), query),
      hits.length
        ? listed("entries", hits.map(hit), FIRST_ENTRIES, step.retrieved.length > 2 * DENSE)
        : h("p", {class: "none"}, at ? "no entry besides those above" : "no entry found"),
    );
  });
  return section(
    "Read",
    `${count(step.retrieved.length, "entry", "entries")} in view`,
    listed("queries", makes, FIRST_QUERIES, false),
  );
}

/** The action: a card for each operation. */
function acted(trace, number) {
  const action = trace.steps[number - 1].action;
  const held = trace.held(number);
  const makes = action.map((operation, at) => () => card(trace, number, operation, at, held));
  const note = action.length ? count(action.length, "operation") : "no operation";
  const {score, why} = trace.credit || {};
  return section(
    "Action",
    note,
    why && h("p", {class: "none"}, `no values of ${CREDITS[score]}: ${why}`),
    listed("cards", makes, FIRST_CARDS),
  );
}

/** What a language model said at this step, each reply as it came; what was read from it stands in the action. */
function said(trace, number) {
  const replies = trace.steps[number - 1].said || [];
  if (!replies.length) return null;
  const counts = (reply) =>
    ["prompt_tokens", "completion_tokens"]
      .filter((name) => typeof reply[name] === "number")
      .map((name) => `${name.replace("_", " ")} ${reply[name].toLocaleString("en")}`)
      .join("  ·  ");
  const makes = replies.map((reply) => () =>
    h(
      "article",
      {class: `said ${reply.read === false ? "unread" : ""}`},
      h(
        "header",
        null,
        h("span", {class: "op-name"}, reply.ability || "reply"),
        reply.read === false && h("span", {class: "tag bad"}, "could not be read"),
        h("span", {class: "sub"}, counts(reply)),
      ),
      reply.prompt && folded("prompt", said.prompt(reply.prompt)),
      reply.reasoning && folded("reasoning", String(reply.reasoning)),
      h("pre", null, String(reply.reply ?? "")),
    ),
  );
  return section("Said", `${count(replies.length, "reply", "replies")}, as they came`, listed("cards", makes, 10, false));
}

said.prompt = (messages) =>
  [].concat(messages).map((message) => `${message.role || ""}: ${message.content ?? message}`).join("\n\n");

function folded(title, text) {
  return h("details", null, h("summary", null, title), h("pre", null, text));
}

/** A box of what the first `first` functions of `makes` make, and a button for the rest. */
function listed(kind, makes, first, dense = makes.length > DENSE) {
  const some = (from, to) => makes.slice(from, to).map((make) => make());
  const box = h("div", {class: dense ? `${kind} dense` : kind}, some(0, first));
  if (makes.length > first) {
    const more = h(
      "button",
      {class: "rest", onclick: () => more.replaceWith(...some(first))},
      `show ${(makes.length - first).toLocaleString("en")} more`,
    );
    box.append(more);
  }
  return box;
}

function card(trace, step, operation, at, held) {
  const {op, id, query, k, refused, evicted} = operation;
  const lost = (trace.uses.get(step) || []).filter(
    (event) => event.kind === "lost" && event.operation === at,
  );
  return h(
    "article",
    {class: `op ${op || "malformed"} ${refused ? "refused" : ""}`},
    h(
      "header",
      null,
      h("span", {class: `op-name ${op || ""}`}, op || "malformed"),
      id !== undefined && h("b", null, entryName(id)),
      k && `k = ${k}`,
      !refused && id !== undefined && op !== "delete" && badges(trace, step, held.get(id)),
      lost.map((event) => h("span", {class: "tag bad"}, `lost e${event.unit + 1}`)),
      evicted !== undefined && h("span", {class: "tag warn"}, `pushed out ${entryName(evicted)}`),
      operation.value !== undefined && worth(trace, operation.value),
      refused && h("span", {class: "tag bad", title: REASONS[refused]}, `refused: ${refused}`),
    ),
    refused && h("p", {class: "reason"}, REASONS[refused]),
    op === "delete" && !refused ? clipped(h("del", null, before(trace, step, at, id))) : null,
    query !== undefined && clipped(query),
    operation.content !== undefined && content(trace, operation.content),
  );
}

/** What entry `id` said before operation `at` of `step`. */
function before(trace, step, at, id) {
  const {entries, scratchpad} = trace.memory(step).before;
  let text = id === 0 ? scratchpad : entries.get(id);
  for (const operation of trace.steps[step - 1].action.slice(0, at)) {
    if (!operation.refused && operation.id === id && operation.content !== undefined)
      text = operation.content;
  }
  return text === undefined ? "" : trace.text(text);
}

/** The memory after the step: the scratchpad, what changed, and the rest. */
function remembered(trace, number, first = FIRST_ENTRIES) {
  const memory = trace.memory(number);
  const held = trace.held(number);
  const old = memory.before;
  const created = [],
    updated = [],
    same = [],
    deleted = [];
  for (const [id, content] of memory.entries) {
    if (!old.entries.has(id)) created.push(id);
    else if (trace.text(old.entries.get(id)) !== trace.text(content)) updated.push(id);
    else same.push(id);
  }
  for (const id of old.entries.keys()) if (!memory.entries.has(id)) deleted.push(id);
  same.sort((a, b) => (gold ? (held.get(b) || []).length - (held.get(a) || []).length : 0) || a - b);
  const entry = (kind, id, ...body) =>
    h(
      "div",
      {class: `entry ${kind}`},
      h(
        "header",
        null,
        h("b", null, entryName(id)),
        kind && h("span", {class: `tag ${kind}`}, kind),
        badges(trace, number, held.get(id)),
      ),
      clipped(...body),
    );
  const plain = (kind) => (id) => () => entry(kind, id, contentNodes(trace, memory.entries.get(id)));
  const list = [
    ...deleted.map((id) => () => entry("deleted", id, h("del", null, trace.text(old.entries.get(id))))),
    ...updated.map(
      (id) => () =>
        entry(
          "updated",
          id,
          differenceNodes(trace.text(old.entries.get(id)), trace.text(memory.entries.get(id))),
        ),
    ),
    ...created.map(plain("created")),
    ...same.map(plain("")),
  ];
  const changes = [
    [created, "created"],
    [updated, "updated"],
    [deleted, "deleted"],
  ]
    .filter(([ids]) => ids.length)
    .map(([ids, what]) => `${ids.length} ${what}`);
  return section(
    "Memory after this step",
    [count(memory.entries.size, "entry", "entries"), ...changes].join(", "),
    scratchpad(trace, number, memory, held.get(0)),
    listed("entries", list, first),
  );
}

function scratchpad(trace, number, memory, units) {
  const was = trace.text(memory.before.scratchpad),
    is = trace.text(memory.scratchpad);
  if (!was && !is) return null;
  const changed = was !== is;
  return h(
    "div",
    {class: `entry scratchpad ${changed ? "updated" : ""}`},
    h(
      "header",
      null,
      h("b", null, "scratchpad"),
      changed && h("span", {class: "tag updated"}, is ? (was ? "updated" : "created") : "cleared"),
      badges(trace, number, units),
    ),
    h(
      "div",
      {class: "text tall"},
      changed ? differenceNodes(was, is) : contentNodes(trace, memory.scratchpad),
    ),
  );
}
