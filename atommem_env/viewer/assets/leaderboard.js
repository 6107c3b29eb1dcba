// A leaderboard: for each block a table of methods by benchmark and capacity, and behind each number its funnel.

const BOARD = JSON.parse(document.getElementById("data").textContent);
const NO_FILTER = {policy: "", benchmark: "", capacity: "", engine: "", score: "", sort: ""};
const main = document.getElementById("main");
const narrow = matchMedia("(max-width: 720px)");
let filters = {...NO_FILTER};

const LOSSES = {
  written: "never written",
  kept: "destroyed",
  read: "not found",
  answered: "not used",
};
const SCORES = Object.keys(BOARD.scores).filter((name) =>
  BOARD.blocks.some((block) => block.cells.some((cell) => cell.scores[name])),
);
const size = (column) => (column.capacity === null ? "no bound" : `${column.capacity} entries`);
const benchmark = (column) => (column.stand_in ? `${column.benchmark} (generated)` : column.benchmark);
const distinct = (values) => [...new Set(values)];
const columnsOf = (test) => BOARD.blocks.flatMap((block) => block.columns).map(test);

// --- what a cell says -------------------------------------------------------------------------------

/** The score that is shown of a column: the one that was chosen, else the benchmark's own, else exact match. */
const scoreOf = (column) => filters.score || column.own;

function scoreTitle(name) {
  return BOARD.stages.includes(name) ? name : BOARD.scores[name] || name;
}

function valueOf(cell, column) {
  const name = scoreOf(column);
  if (BOARD.stages.includes(name)) return cell.funnel[name];
  return cell.scores[name] ? cell.scores[name][0] : null;
}

/** What methods are ordered by: where some questions have no answer, the right answers to those that have one. */
function rankOf(cell, column) {
  const evidence = BOARD.stages.includes(scoreOf(column));
  return cell.answerable && !evidence ? cell.answerable[0] : valueOf(cell, column);
}

function intervalOf(cell, column) {
  const [, low, high] = cell.scores[scoreOf(column)] || [];
  return low === undefined || low === null ? "" : `${percent(low)} to ${percent(high)}`;
}

/** The stages of the funnel with their shares; of *answered* the exact match; nothing without a funnel. */
function stagesOf(cell) {
  if (cell.funnel.seen === null || cell.funnel.seen === undefined) return [];
  return [
    ...BOARD.stages.map((stage) => [stage, cell.funnel[stage]]),
    ["answered", cell.scores.em ? cell.scores.em[0] : null],
  ].filter(([, value]) => value !== null && value !== undefined);
}

function inWords(cell, column) {
  const stages = stagesOf(cell).map(([stage, value]) => `${stage} ${percent(value)}`);
  return [
    `${cell.policy} on ${benchmark(column)}${column.settings ? `, ${column.settings}` : ""}, ${size(column)}`,
    `${scoreTitle(scoreOf(column))} ${percent(valueOf(cell, column))}`,
    intervalOf(cell, column) && `interval ${intervalOf(cell, column)}`,
    cell.answerable && `answerable right ${percent(cell.answerable[0])}, abstains rightly ${percent(cell.answerable[1])}`,
    stages.length > 0 && `percent of the evidence: ${stages.join(", ")}`,
  ]
    .filter(Boolean)
    .join("; ");
}

// --- the card behind a cell -------------------------------------------------------------------------

let card = null; // the card that is open: its cell's button, its node, and whether it stays

function closeCard() {
  if (!card) return;
  card.button.setAttribute("aria-expanded", "false");
  card.node.remove();
  card = null;
}

function openCard(button, cell, column, stays) {
  if (card && card.button === button) {
    if (stays && !card.stays) {
      card.stays = true;
      card.node.classList.add("stays");
      (card.node.querySelector("a") || card.node.querySelector("button")).focus();
    }
    return;
  }
  closeCard();
  const run = BOARD.runs[cell.run];
  const close = h("button", {class: "quiet close", onclick: () => leave(button), "aria-label": "Close"}, "×");
  const node = h(
    "div",
    {class: "card", role: "dialog", "aria-label": `${cell.policy} on ${benchmark(column)}`},
    close,
    h("h3", null, cell.policy, h("span", {class: "sub"}, `${benchmark(column)}, ${size(column)}`)),
    column.settings && h("p", {class: "sub"}, column.settings),
    funnel(cell),
    scores(cell),
    h("p", {class: "sub"}, counts(cell)),
    h("p", {class: "sub source"}, column.source),
    h("p", {class: "run"}, "Run ", h("b", null, run.name), " · ", viewOf(run, cell, column)),
  );
  button.after(node);
  button.setAttribute("aria-expanded", "true");
  card = {button, node, stays};
  if (stays) node.classList.add("stays");
  place();
}

let leaving = false; // whether a cell gets the focus back from its card, and so opens none

function leave(button) {
  closeCard();
  leaving = true;
  button.focus();
  leaving = false;
}

/** Put the card below its cell, or above it where there is no room, and within the window. */
function place() {
  if (!card) return;
  const at = card.button.getBoundingClientRect();
  const own = card.node.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left, document.body.clientWidth - own.width - 8));
  const below = at.bottom + own.height + 8 < innerHeight || at.top < own.height + 8;
  card.node.style.left = `${left}px`;
  card.node.style.top = `${below ? at.bottom + 2 : at.top - own.height - 2}px`;
}

function funnel(cell) {
  const stages = stagesOf(cell);
  if (!stages.length) {
    return h(
      "p",
      {class: "sub"},
      cell.buffer
        ? "It keeps text outside memory, so that its evidence says nothing."
        : "The data has no evidence.",
    );
  }
  const [worst] = stages
    .slice(1)
    .map(([stage, value], at) => [stage, stages[at][1] - value])
    .sort((one, other) => other[1] - one[1])[0] || [null];
  return h(
    "dl",
    {class: "funnel"},
    stages.map(([stage, value], at) => {
      const lost = at > 0 ? stages[at - 1][1] - value : 0;
      return [
        h("dt", null, stage),
        h("dd", null, h("span", {class: "bar stage", share: value}, percent(value))),
        h(
          "dd",
          {class: stage === worst && lost >= 0.005 ? "bad" : "sub"},
          lost >= 0.0005 && LOSSES[stage] ? `−${percent(lost)} ${LOSSES[stage]}` : "",
        ),
      ];
    }),
    Object.entries(cell.stale)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [
        h("dt", null, name.replace("_", " ")),
        h("dd", null, h("span", {class: "bar stage", share: value}, percent(value))),
        h("dd", null),
      ]),
  );
}

function scores(cell) {
  return h(
    "dl",
    {class: "scores"},
    Object.entries(cell.scores).map(([name, [mean, low, high]]) => [
      h("dt", null, scoreTitle(name)),
      h("dd", null, h("span", {class: "bar score", share: mean}, percent(mean))),
      h("dd", {class: "sub"}, low === null ? "" : `${percent(low)} to ${percent(high)}`),
    ]),
    cell.answerable && [
      h("dt", null, "answerable right"),
      h("dd", null, percent(cell.answerable[0])),
      h("dd", null),
      h("dt", null, "abstains rightly"),
      h("dd", null, percent(cell.answerable[1])),
      h("dd", null),
    ],
  );
}

function counts(cell) {
  const known = (value, text) => (value === null || value === undefined ? null : text(value));
  return [
    count(cell.episodes, "episode"),
    count(cell.questions, "question"),
    known(cell.histories, (value) => count(value, "history", "histories")),
    `${cell.memory_peak.toFixed(1)} entries at most`,
    `${cell.steps.toFixed(1)} steps`,
    known(cell.calls, (value) => `${value.toFixed(1)} calls`),
    cell.refused ? `${cell.refused.toFixed(1)} operations refused` : null,
    cell.unread ? `${percent(cell.unread)} % of the replies could not be read` : null,
  ]
    .filter(Boolean)
    .join(" · ");
}

function viewOf(run, cell, column) {
  const first = column.source.startsWith("generated") && run.first_task;
  if (run.view) return h("a", {href: `${run.view}#/?${new URLSearchParams(cell.filter)}`}, "its episodes, step by step");
  if (!first) return h("span", {class: "sub"}, `atommem view shows it step by step`);
  const [page, task] = first;
  const place = [cell.filter.env, cell.filter.policy, task].map(encodeURIComponent).join("/");
  return h("a", {href: `${page}#/episode/${place}`}, "its first task, step by step");
}

// --- tables -----------------------------------------------------------------------------------------

function spark(cell) {
  const stages = stagesOf(cell);
  if (!stages.length) return null;
  return h(
    "span",
    {class: "spark", "aria-hidden": "true"},
    stages.map(([, value]) => h("i", {share: value})),
  );
}

function cellOf(cell, column, best) {
  if (!cell) return h("td", {class: "absent"}, "–");
  const value = valueOf(cell, column);
  const split = cell.answerable && !BOARD.stages.includes(scoreOf(column));
  const right = cell.answerable && `${percent(cell.answerable[0])} right`;
  const under = cell.answerable
    ? [best && split ? h("b", null, right) : right, h("br"), `${percent(cell.answerable[1])} abstains`]
    : intervalOf(cell, column);
  const button = h(
    "button",
    {
      class: `cell${best && !split ? " best" : ""}`,
      "aria-label": inWords(cell, column),
      "aria-expanded": "false",
      onclick: () => openCard(button, cell, column, true),
      onfocus: () => leaving || openCard(button, cell, column, false),
      onmouseenter: () => card && card.stays ? null : openCard(button, cell, column, false),
    },
    h("span", {class: "number"}, percent(value)),
    spark(cell),
    h("span", {class: "sub under"}, under),
  );
  return h(
    "td",
    {onmouseleave: () => card && !card.stays && document.activeElement !== card.button && closeCard()},
    button,
  );
}

function tableOf(block, columns, number) {
  const byPlace = new Map(block.cells.map((cell) => [`${cell.policy}\n${cell.column}`, cell]));
  const cellAt = (policy, column) => byPlace.get(`${policy}\n${column.number}`);
  const wanted = block.cells.filter(
    (cell) => columns.some((column) => column.number === cell.column) && (!filters.policy || cell.policy === filters.policy),
  );
  const named = (control) => distinct(wanted.filter((cell) => cell.control === control).map((cell) => cell.policy));
  const best = new Map(
    columns.map((column) => {
      const values = named(false)
        .map((policy) => cellAt(policy, column))
        .filter(Boolean)
        .map((cell) => rankOf(cell, column))
        .filter((value) => value !== null && value !== undefined);
      const most = Math.max(...values);
      return [column, Math.min(...values) < most ? most : null];
    }),
  );
  const sorting = columns.find((column) => filters.sort === `${number}-${column.number}`);
  const ordered = (policies) => {
    if (!sorting) return policies;
    const value = (policy) => {
      const cell = cellAt(policy, sorting);
      return (cell && rankOf(cell, sorting)) ?? -1;
    };
    return [...policies].sort((one, other) => value(other) - value(one));
  };
  const body = (control) =>
    ordered(named(control)).map((policy) => {
      const buffered = wanted.some((cell) => cell.policy === policy && cell.buffer);
      return h(
        "tr",
        null,
        h("th", {scope: "row", class: "left"}, policy, buffered ? " †" : ""),
        columns.map((column) => {
          const cell = cellAt(policy, column);
          const top = best.get(column);
          return cellOf(cell, column, !control && cell && top !== null && rankOf(cell, column) === top);
        }),
      );
    });
  const groups = [];
  for (const column of columns) {
    const last = groups[groups.length - 1];
    if (last && last.title === columnTitle(column)) last.count += 1;
    else groups.push({title: columnTitle(column), column, count: 1});
  }
  const controls = body(true);
  return h(
    "div",
    {class: "scroll", tabindex: "0", role: "region", "aria-label": `${block.section}, engine ${block.engine || "none"}`},
    h(
      "table",
      {class: "board"},
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          h("td"),
          groups.map((group) =>
            h(
              "th",
              {colspan: group.count, scope: "colgroup", title: group.column.source},
              h("b", null, benchmark(group.column)),
              group.column.settings && h("div", {class: "sub"}, group.column.settings),
              h("div", {class: "sub"}, scoreTitle(scoreOf(group.column))),
            ),
          ),
        ),
        h(
          "tr",
          null,
          h("th", {class: "left", scope: "col"}, "method"),
          columns.map((column) =>
            h(
              "th",
              {scope: "col", "aria-sort": sorting === column ? "descending" : "none"},
              h(
                "button",
                {
                  title: "Order by this column",
                  onclick: () => refilter({sort: sorting === column ? "" : `${number}-${column.number}`}),
                },
                size(column),
              ),
            ),
          ),
        ),
      ),
      h("tbody", null, body(false)),
      controls.length > 0 &&
        h(
          "tbody",
          {class: "controls-body"},
          h("tr", null, h("th", {colspan: columns.length + 1, class: "left group", scope: "rowgroup"}, "controls")),
          controls,
        ),
    ),
  );
}

const columnTitle = (column) => JSON.stringify([benchmark(column), column.settings, column.source]);

function blockOf(block, number) {
  if (filters.engine && block.engine !== filters.engine) return null;
  const columns = block.columns
    .map((column, at) => ({...column, number: at}))
    .filter(
      (column) =>
        (!filters.benchmark || benchmark(column) === filters.benchmark) &&
        (!filters.capacity || size(column) === filters.capacity),
    )
    .filter((column) =>
      block.cells.some(
        (cell) => cell.column === column.number && (!filters.policy || cell.policy === filters.policy),
      ),
    );
  if (!columns.length) return null;
  const parts = narrow.matches
    ? distinct(columns.map(columnTitle)).map((title) => columns.filter((column) => columnTitle(column) === title))
    : [columns];
  return h(
    "div",
    {class: "block"},
    h("h3", null, `engine ${block.engine || "none"}`, h("span", {class: "sub"}, block.engine_text)),
    block.judge && h("p", {class: "sub"}, `judge ${block.judge}`),
    parts.map((part) => tableOf(block, part, number)),
  );
}

// --- the page ---------------------------------------------------------------------------------------

function select(name, label, options) {
  return h(
    "label",
    {class: "filter"},
    h("span", {class: "sub"}, label),
    h(
      "select",
      {id: name, onchange: (event) => refilter({[name]: event.target.value})},
      options.map(([value, text]) => h("option", {value, selected: filters[name] === value}, text)),
    ),
  );
}

const choices = (all, values) => [["", all], ...distinct(values).map((value) => [value, value])];

function top_() {
  const cells = BOARD.blocks.flatMap((block) => block.cells);
  return [
    h(
      "div",
      {class: "crumbs"},
      h("h1", null, BOARD.title),
      h(
        "span",
        {class: "facts"},
        `${count(cells.length, "result")} of ${count(BOARD.runs.length, "run")} · atommem_env ${BOARD.version}`,
      ),
    ),
    h(
      "div",
      {class: "bar-row filters"},
      select("policy", "method", choices("all methods", cells.map((cell) => cell.policy))),
      select("benchmark", "benchmark", choices("all benchmarks", columnsOf(benchmark))),
      select("capacity", "capacity", choices("all capacities", columnsOf(size))),
      select("engine", "engine", choices("all engines", BOARD.blocks.map((block) => block.engine).filter(Boolean))),
      select("score", "shown", [
        ["", "own score"],
        ...SCORES.map((name) => [name, scoreTitle(name)]),
        ...BOARD.stages.slice(1).map((stage) => [stage, `evidence ${stage}`]),
      ]),
    ),
  ];
}

function show() {
  closeCard();
  fill(document.getElementById("top"), top_());
  const blocks = BOARD.blocks.map((block, number) => [block, blockOf(block, number)]).filter(([, node]) => node);
  const titles = distinct(blocks.map(([block]) => block.section));
  fill(
    main,
    titles.map((title) => {
      const own = blocks.filter(([block]) => block.section === title);
      const generated = own[0][0].generated;
      return h(
        "section",
        {class: generated ? "generated" : null},
        h("h2", null, title),
        generated &&
          h("p", {class: "warn"}, "Generated data says nothing about a benchmark; compare these numbers with each other alone."),
        own.map(([, node]) => node),
      );
    }),
    titles.length === 0 && h("p", {class: "empty"}, "No result fits these filters."),
    about(),
  );
}

function about() {
  return h(
    "section",
    {class: "about"},
    h("h2", null, "How to read this"),
    h(
      "ul",
      null,
      h(
        "li",
        null,
        "Numbers are in percent: the mean over episodes, of each the mean over its questions, and under it the 95 % " +
          "bootstrap interval. Fewer than ten histories have none. Bold: no method's mean is higher, and some are lower.",
      ),
      h(
        "li",
        null,
        "The small bars are the evidence: seen, written into memory, kept until its question was asked, read then; the " +
          "last is the exact match. Point at a number, or go to it with Tab and the arrow keys, for what is behind it; " +
          "Enter keeps that open, Esc closes it.",
      ),
      h(
        "li",
        null,
        "Where some questions have no answer, right answers to those that have one and right abstentions stand apart " +
          "under the score, and order and bold go by the first. Controls are there to be compared with.",
      ),
      BOARD.notes.map((note) => h("li", null, note)),
    ),
    h("h3", null, "Data"),
    h(
      "ul",
      null,
      distinct(columnsOf((column) => `${benchmark(column)}: ${column.source}`)).map((text) => h("li", null, text)),
    ),
    h("h3", null, "Runs"),
    h(
      "ul",
      null,
      BOARD.runs.map((run) =>
        h(
          "li",
          null,
          run.view ? h("a", {href: run.view}, run.name) : h("b", null, run.name),
          [
            run.recipe && `recipe ${run.recipe}`,
            run.episodes < run.total ? `${run.episodes} of ${run.total} episodes` : count(run.episodes, "episode"),
            `seed ${run.seed}`,
            `atommem_env ${run.version}`,
          ]
            .filter(Boolean)
            .map((fact) => ` · ${fact}`),
        ),
      ),
    ),
  );
}

function refilter(changed) {
  const given = Object.entries({...filters, ...changed}).filter(([, value]) => value);
  const focused = document.activeElement && document.activeElement.id;
  location.replace(`#?${new URLSearchParams(given)}`);
  if (focused) document.getElementById(focused)?.focus();
}

function route() {
  const [, query] = location.hash.split("?");
  const focused = document.activeElement && document.activeElement.id;
  filters = {...NO_FILTER, ...Object.fromEntries(new URLSearchParams(query || ""))};
  show();
  if (focused) document.getElementById(focused)?.focus();
}

/** Go from a cell to the one next to it. */
function walk(event) {
  const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
  const td = event.target.closest && event.target.closest(".cell") && event.target.closest("td");
  if (!step || !td) return;
  const rows = [...td.closest("table").querySelectorAll("tbody tr")].filter((row) => row.querySelector(".cell"));
  let row = rows.indexOf(td.parentNode);
  let place = td.cellIndex;
  do {
    row += step[0];
    place += step[1];
  } while (rows[row] && rows[row].cells[place] && !rows[row].cells[place].querySelector(".cell"));
  const next = rows[row] && rows[row].cells[place] && rows[row].cells[place].querySelector(".cell");
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && card) leave(card.button);
  else walk(event);
});
addEventListener("click", (event) => {
  if (card && !card.node.contains(event.target) && !card.button.contains(event.target)) closeCard();
});
addEventListener("focusin", (event) => {
  if (card && !card.node.contains(event.target) && event.target !== card.button) closeCard();
});
addEventListener("scroll", place, true);
addEventListener("resize", place);
narrow.addEventListener("change", show);
addEventListener("hashchange", route);
route();
