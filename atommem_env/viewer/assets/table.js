// The table of episodes, its filters and its order, below what each policy reached.

const SCORES = [
  ["em", "EM"],
  ["f1", "F1"],
  ["official", "official"],
  ["judge", "judge"],
].filter(([name]) => RUN.summary.some((row) => row.scores[name]));

const COLUMNS = [
  {
    name: "env",
    title: "environment",
    left: true,
    value: (row) => row.env.name,
    cell: (row) => [row.env.label],
    needed: RUN.envs.length > 1,
  },
  {name: "task", title: "task", value: (row) => row.task.index, cell: (row) => row.task.index},
  {
    name: "policy",
    title: "policy",
    left: true,
    value: (row) => row.policy,
    cell: (row) => h("b", null, row.policy),
  },
  {
    name: "engine",
    title: "engine",
    left: true,
    value: (row) => row.engine || "",
    cell: (row) => row.engine || "–",
  },
  {
    name: "first",
    title: "first question",
    left: true,
    wide: true,
    value: (row) => row.task.questions[0].question,
    cell: (row) => row.task.questions[0].question,
  },
  {name: "questions", title: "questions", value: (row) => row.questions.length},
  {name: "em", title: "EM", value: (row) => row.em, cell: (row) => bar(row.em, "score")},
  {name: "f1", title: "F1", value: (row) => row.f1, cell: (row) => bar(row.f1, "score")},
  {
    name: "official",
    title: "official",
    value: (row) => row.official ?? -1,
    cell: (row) => bar(row.official, "score"),
    needed: EPISODES.some((row) => row.official !== undefined),
  },
  ...STAGES.map((stage) => ({
    name: stage,
    title: stage,
    value: (row) => (row.evidence ? row.evidence[stage] : -1),
    cell: (row) => bar(row.evidence && row.evidence[stage], "stage"),
  })),
  {
    name: "refused",
    title: "refused",
    value: (row) => row.refused,
    cell: (row) => (row.refused ? h("span", {class: "bad"}, row.refused) : "0"),
  },
  {name: "peak", title: "memory", value: (row) => row.memory_peak},
  {name: "steps", title: "steps", value: (row) => row.steps},
  {
    name: "calls",
    title: "calls",
    value: (row) => row.costs.calls ?? -1,
    cell: (row) => row.costs.calls ?? "–",
    needed: EPISODES.some((row) => row.costs.calls !== undefined),
  },
].filter((column) => column.needed !== false);

function bar(value, kind) {
  return h("span", {class: `bar ${kind}`, share: value || 0}, percent(value));
}

let rows = EPISODES;
let chosen = 0;
let typing = false; // whether the table is asked for in order to filter it
const BATCH = 100;

function select() {
  const terms = (filters.text.toLowerCase().match(/"[^"]+"|\btask \d+|[^\s"]+/g) || []).map((term) =>
    /^task \d+$/.test(term) ? `${term}\n` : term.replaceAll('"', ""),
  );
  const outcome = (OUTCOMES[filters.outcome] || OUTCOMES[""])[1];
  rows = EPISODES.filter(
    (row) =>
      (!filters.env || row.env.name === filters.env) &&
      (!filters.policy || row.policy === filters.policy) &&
      outcome(row) &&
      terms.every((term) => row.search.includes(term)),
  );
  const column = COLUMNS.find((known) => known.name === filters.sort.replace("-", ""));
  if (column) {
    const sign = filters.sort.startsWith("-") ? -1 : 1;
    rows.sort((a, b) => {
      const x = column.value(a),
        y = column.value(b);
      return sign * (x < y ? -1 : x > y ? 1 : 0) || a.number - b.number;
    });
  }
}

function showTable() {
  const control = (name, options) =>
    h(
      "select",
      {id: name, onchange: (event) => refilter({[name]: event.target.value}), "aria-label": name},
      options.map(([value, label]) => h("option", {value, selected: filters[name] === value}, label)),
    );
  const text = h("input", {
    id: "text",
    type: "search",
    placeholder: "filter: question, answer, policy, task 3 …   ( / )",
    value: filters.text,
    oninput: (event) => refilter({text: event.target.value}),
  });
  fill(top_, crumbs());
  fill(
    main,
    h(
      "section",
      {class: "about"},
      RUN.envs.map((env) =>
        h(
          "p",
          null,
          h("b", null, env.name),
          " ",
          generatedTag(env),
          h("span", {class: "source"}, env.source),
          h(
            "span",
            {class: "source"},
            env.shown === "always" ? "questions shown while reading" : "questions shown when asked, after reading",
          ),
        ),
      ),
      h(
        "p",
        null,
        h("b", null, "engine"),
        " ",
        ENGINES.join(", ") || "none",
        ENGINES.includes("rules") &&
          h("span", {class: "tag warn"}, "rules: fixed rules without a model, a stand-in for an LLM"),
      ),
      h(
        "details",
        null,
        h("summary", null, "What these numbers say"),
        h(
          "ul",
          null,
          RUN.notes.map((note) => h("li", null, note)),
          RUN.envs.map((env) => h("li", null, `${env.name}: ${env.arguments}`)),
          h("li", null, `atommem_env ${RUN.version}`),
        ),
      ),
    ),
    summaryTable(),
    h(
      "div",
      {class: "controls"},
      text,
      RUN.envs.length > 1 &&
        control("env", [["", "all environments"], ...RUN.envs.map((env) => [env.name, env.label])]),
      control("policy", [["", "all policies"], ...POLICIES.map((policy) => [policy, policy])]),
      control(
        "outcome",
        Object.entries(OUTCOMES).map(([value, [label]]) => [value, label]),
      ),
      h("span", {id: "found", class: "found"}),
    ),
    h(
      "div",
      {class: "scroll"},
      h(
        "table",
        {class: "episodes"},
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            COLUMNS.map((column) =>
              h(
                "th",
                {
                  class: column.left ? "left" : "",
                  scope: "col",
                  "data-column": column.name,
                  onclick: () => sortBy(column.name),
                },
                h("button", null, column.title),
              ),
            ),
          ),
        ),
        h("tbody", {id: "rows"}),
      ),
    ),
  );
  place = {
    kind: "table",
    step: (by) => choose(chosen + by),
    enter: () => rows[chosen] && go(episodeHash(rows[chosen])),
    back: () => refilter(NO_FILTER, true),
  };
  list();
  restoreScroll();
  if (typing) text.focus();
  typing = false;
}

function summaryTable() {
  const titles = [
    "policy",
    "engine",
    "episodes",
    "questions",
    ...SCORES.map(([, title]) => title),
    ...STAGES,
    "memory",
    "steps",
    "refused",
  ];
  const line = (row) =>
    h(
      "tr",
      {
        onclick: () => refilter({policy: row.policy, env: RUN.envs[row.env].name}, true),
        title: "Click to show these episodes alone",
      },
      h(
        "td",
        {class: "left"},
        h("b", null, row.policy),
        row.uses_buffer &&
          h("span", {title: "keeps text outside memory, so that its evidence says nothing"}, " †"),
      ),
      h("td", {class: "left"}, row.engine || "–"),
      h("td", null, row.episodes),
      h("td", null, row.questions),
      SCORES.map(([name]) => row.scores[name] || [null, null, null]).map(([mean, low, high]) =>
        h(
          "td",
          {title: low === null ? null : `95 % interval: ${percent(low)} to ${percent(high)}`},
          bar(mean, "score"),
        ),
      ),
      STAGES.map((stage) => h("td", null, bar(row.funnel[stage], "stage"))),
      [row.memory_peak, row.steps, row.refused].map((value) => h("td", null, value.toFixed(1))),
    );
  return RUN.envs.map((env, number) =>
    h(
      "div",
      {class: "scroll"},
      h(
        "table",
        {class: "summary"},
        RUN.envs.length > 1 && h("caption", null, env.label),
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            titles.map((title, at) => h("th", {class: at < 2 ? "left" : "", scope: "col"}, title)),
          ),
        ),
        h("tbody", null, RUN.summary.filter((row) => row.env === number).map(line)),
      ),
    ),
  );
}

function refilter(change, rebuild) {
  filters = {...filters, ...change};
  chosen = 0;
  history.replaceState(null, "", tableHash());
  if (rebuild) showTable();
  else list();
}

function sortBy(name) {
  refilter({sort: filters.sort === name ? `-${name}` : filters.sort === `-${name}` ? "" : name});
}

function list() {
  select();
  chosen = Math.min(chosen, Math.max(0, rows.length - 1));
  for (const cell of main.querySelectorAll("th[data-column]")) {
    const name = cell.dataset.column;
    cell.setAttribute(
      "aria-sort",
      filters.sort === name ? "ascending" : filters.sort === `-${name}` ? "descending" : "none",
    );
  }
  document.getElementById("found").textContent =
    rows.length === EPISODES.length
      ? count(rows.length, "episode")
      : `${rows.length.toLocaleString("en")} of ${count(EPISODES.length, "episode")}`;
  fill(document.getElementById("rows"));
  more(Math.max(BATCH, chosen + 50));
}

/** Add rows until `wanted` are there; the next ones come when the end of the table is in sight. */
function more(wanted) {
  const body = document.getElementById("rows");
  const old = document.getElementById("end");
  if (old) old.remove();
  for (let number = body.children.length; number < Math.min(wanted, rows.length); number++)
    body.append(tableRow(rows[number], number));
  if (!rows.length)
    body.append(
      h(
        "tr",
        null,
        h("td", {class: "empty", colspan: COLUMNS.length}, "No episode fits these filters. Esc shows all."),
      ),
    );
  if (body.children.length < rows.length) {
    const end = h("tr", {id: "end"}, h("td", {colspan: COLUMNS.length}, "…"));
    body.append(end);
    const observer = new IntersectionObserver(
      (seen) => {
        if (!seen.some((entry) => entry.isIntersecting)) return;
        observer.disconnect();
        if (end.isConnected) more(wanted + BATCH);
      },
      {rootMargin: "600px"},
    );
    observer.observe(end);
  }
}

function tableRow(row, number) {
  return h(
    "tr",
    {
      class: `${row.em === 1 ? "right" : ""} ${number === chosen ? "chosen" : ""}`,
      onclick: () => {
        chosen = number;
        go(episodeHash(row));
      },
    },
    COLUMNS.map((column) =>
      h(
        "td",
        {class: `${column.left ? "left" : ""} ${column.wide ? "wide" : ""}`},
        column.cell ? column.cell(row) : column.value(row).toLocaleString("en"),
      ),
    ),
  );
}

let tableScroll = 0; // how far the table was scrolled when it was left

/** Scroll the table as it was when it was left, or to the chosen row where that is out of sight. */
function restoreScroll() {
  scrollTo(0, tableScroll);
  const row = main.querySelector("tr.chosen");
  if (row && chosen > 0) row.scrollIntoView({block: "nearest"});
}

function choose(number) {
  if (number < 0 || number >= rows.length) return;
  chosen = number;
  const body = document.getElementById("rows");
  if (number >= body.children.length - 1) more(number + BATCH);
  for (const row of body.querySelectorAll("tr.chosen")) row.classList.remove("chosen");
  body.children[number].classList.add("chosen");
  body.children[number].scrollIntoView({block: "nearest"});
}
