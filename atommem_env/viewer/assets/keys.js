// The keyboard, the help on it, and the start.

const KEYS = [
  ["j  k  or  → ←", "next, previous step; in the table, next, previous episode"],
  ["Home  End", "first, last step"],
  ["q  Q", "next, previous question of the episode"],
  ["n  p", "next, previous episode of the table as it is filtered and sorted"],
  ["Enter", "open the chosen episode"],
  ["c", "compare with another policy on the same task, or leave the comparison"],
  ["g", "mark the gold evidence"],
  ["/", "filter the table"],
  ["Esc", "back"],
  ["?", "this help"],
];

const help = document.getElementById("help");

function openHelp() {
  fill(
    help,
    h(
      "div",
      {class: "card", role: "dialog", "aria-label": "Keys"},
      h("h2", null, "Keys"),
      h(
        "table",
        null,
        KEYS.map(([keys, what]) =>
          h("tr", null, h("td", {class: "left"}, h("kbd", null, keys)), h("td", {class: "left"}, what)),
        ),
      ),
    ),
  );
  help.hidden = false;
}

function closeHelp() {
  help.hidden = true;
}

help.addEventListener("click", closeHelp);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !place) return;
  const field = event.target.closest("input, select");
  if (event.key === "Escape") {
    if (!help.hidden) closeHelp();
    else if (field) field.blur();
    else place.back();
    return;
  }
  if (field) {
    if (event.key === "Enter") field.blur();
    return;
  }
  const known = event.key.length === 1 || /^(Arrow|Home|End|Enter)/.test(event.key);
  if (underWay && known) waiting.push(event.key);
  if (underWay ? known : press(event.key, event.target)) event.preventDefault();
});

/** Do what a key does here; returns whether it does anything. */
function press(name, target = document.body) {
  const table = place.kind === "table";
  const actions = {
    j: () => place.step(1),
    ArrowRight: !table && (() => place.step(1)),
    ArrowDown: table && (() => place.step(1)),
    k: () => place.step(-1),
    ArrowLeft: !table && (() => place.step(-1)),
    ArrowUp: table && (() => place.step(-1)),
    Home: !table && place.first,
    End: !table && place.last,
    q: place.question && (() => place.question(1)),
    Q: place.question && (() => place.question(-1)),
    n: () => place.episode && place.episode(1),
    p: () => place.episode && place.episode(-1),
    Enter: table && target === document.body && place.enter,
    Escape: place.back,
    c: place.compare,
    g: () => !table && toggleGold(),
    "?": openHelp,
    "/": () => {
      if (table) document.getElementById("text").focus();
      else {
        typing = true;
        go(tableHash());
      }
    },
  };
  if (place.kind === "error") return name === "Escape" && (place.back(), true);
  const run = actions[name];
  if (!run) return false;
  run();
  return true;
}

addEventListener("hashchange", route);
route();
