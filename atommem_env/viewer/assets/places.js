// Places, the part of the address after #: which one the page shows, and how to go to another.

const NO_FILTER = {text: "", env: "", policy: "", outcome: "", sort: ""};
let filters = {...NO_FILTER};

function tableHash() {
  const given = Object.entries(filters).filter(([, value]) => value);
  return `#/${given.length ? "?" + new URLSearchParams(given) : ""}`;
}

function episodeHash(row, step) {
  return `#/episode/${[row.env.name, row.policy, row.task.index].map(encodeURIComponent).join("/")}${step ? `/${step}` : ""}`;
}

function compareHash(left, right, place) {
  const parts = [left.env.name, left.policy, right.policy, left.task.index].map(encodeURIComponent).join("/");
  return `#/compare/${parts}${place ? `/${place}` : ""}`;
}

let underWay = false; // whether the page is on its way to another place: keys wait till it is there
const waiting = [];

function go(hash, replace) {
  const before = location.href;
  if (replace) location.replace(hash);
  else location.hash = hash;
  underWay = underWay || location.href !== before;
}

let place = null; // what the page shows: kind, and what the keys act on
let shown = ""; // its address without the step
let turn = 0;
history.scrollRestoration = "manual";

async function route() {
  const mine = ++turn;
  const [path, query] = location.hash.slice(1).split("?");
  const [kind, ...parts] = path.split("/").slice(1).map(decodeURIComponent);
  closeHelp();
  if (place && place.kind === "table") tableScroll = scrollY;
  try {
    if (kind === "episode") {
      const row = BY_KEY.get(key(parts[0], parts[1], parts[2]));
      if (!row) throw new Error("this page has no such episode");
      const trace = await open(row);
      if (mine === turn) showEpisode(row, trace, Number(parts[3]) || 1);
    } else if (kind === "compare") {
      const rows = [parts[1], parts[2]].map((policy) => BY_KEY.get(key(parts[0], policy, parts[3])));
      if (!rows[0] || !rows[1]) throw new Error("this page has no such pair of episodes");
      const traces = await Promise.all(rows.map(open));
      if (mine === turn) showComparison(rows, traces, Number(parts[4]) || 1);
    } else {
      filters = {...NO_FILTER, ...Object.fromEntries(new URLSearchParams(query || ""))};
      showTable();
    }
  } catch (error) {
    if (mine !== turn) return;
    place = {kind: "error", back: () => go(tableHash())};
    fill(top_, crumbs("error"));
    fill(main, h("p", {class: "empty"}, `This place cannot be shown: ${error.message}.`));
  }
  if (mine !== turn) return;
  const steps = {episode: 3, compare: 4}[kind];
  const now = steps ? key(kind, ...parts.slice(0, steps)) : "";
  if (steps && now !== shown) scrollTo(0, 0);
  shown = now;
  underWay = false;
  while (waiting.length && !underWay) press(waiting.shift());
}

const top_ = document.getElementById("top");
const main = document.getElementById("main");

function crumbs(...parts) {
  return h(
    "div",
    {class: "crumbs"},
    h("a", {href: tableHash(), class: "home"}, RUN.name),
    parts.map((part) => [h("span", {class: "slash"}, "/"), part]),
    h("span", {class: "space"}),
    h("button", {class: "quiet", onclick: openHelp, title: "Keys (?)"}, "? keys"),
  );
}

const engineName = (row) =>
  row.engine ? h("span", {class: "engine", title: `engine: ${row.engine}`}, row.engine) : null;
const generatedTag = (env) =>
  env.generated
    ? h(
        "span",
        {class: "tag warn", title: "The generated world in this benchmark's schema."},
        "generated data: says nothing about the benchmark",
      )
    : null;
