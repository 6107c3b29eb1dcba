// Texts: differences word by word, the gold evidence marked, and long ones clipped.

const MOST_CELLS = 4e6;
const AROUND = 80; // characters shown on each side of a change

/** Pairs [kind, text]: kind is " ", "-" or "+". */
function difference(before, after) {
  for (const split of [/(?<=\s)(?=\S)/, /(?<=[.!?]\s+)(?=\S)|(?<=\n)/]) {
    const found = listDifference(before.split(split), after.split(split));
    if (found) return found;
  }
  return [
    ["-", before],
    ["+", after],
  ];
}

function listDifference(a, b) {
  let start = 0,
    tail = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  while (
    tail < a.length - start &&
    tail < b.length - start &&
    a[a.length - 1 - tail] === b[b.length - 1 - tail]
  )
    tail++;
  const x = a.slice(start, a.length - tail),
    y = b.slice(start, b.length - tail);
  if ((x.length + 1) * (y.length + 1) > MOST_CELLS) return null;
  const width = y.length + 1;
  const longest = new Uint16Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      longest[i * width + j] =
        x[i] === y[j]
          ? longest[(i + 1) * width + j + 1] + 1
          : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const parts = [];
  const add = (kind, word) => {
    const last = parts[parts.length - 1];
    if (last && last[0] === kind) last[1] += word;
    else parts.push([kind, word]);
  };
  a.slice(0, start).forEach((word) => add(" ", word));
  let i = 0,
    j = 0;
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) (add(" ", x[i++]), j++);
    else if (j === y.length || (i < x.length && longest[(i + 1) * width + j] >= longest[i * width + j + 1]))
      add("-", x[i++]);
    else add("+", y[j++]);
  }
  a.slice(a.length - tail).forEach((word) => add(" ", word));
  return parts;
}

function differenceNodes(before, after) {
  const tags = {" ": "span", "-": "del", "+": "ins"};
  const parts = difference(before, after);
  return parts.map(([kind, text], at) => {
    const from = at > 0 ? text.indexOf(" ", AROUND) : 0;
    const to = at < parts.length - 1 ? text.lastIndexOf(" ", text.length - AROUND) : text.length;
    if (kind !== " " || from < 0 || to - from < 2 * AROUND) return h(tags[kind], null, text);
    const fold = h(
      "button",
      {
        class: "fold",
        title: "show what did not change",
        onclick: () => fold.replaceWith(text.slice(from, to)),
      },
      `… ${count(to - from, "character")} unchanged …`,
    );
    return [text.slice(0, from), fold, text.slice(to)];
  });
}

let gold = false;

/** The nodes of a content: with gold on, what of the task's evidence it copies is marked. */
function contentNodes(trace, content) {
  return typeof content === "string"
    ? [content]
    : spanNodes(trace, content[0], content[0] + content[1], false);
}

function spanNodes(trace, start, end, headers) {
  const text = trace.task.text;
  const ranges = [];
  if (gold) {
    trace.task.units.forEach(([, , from, to], unit) => {
      if (from < end && to > start) ranges.push([Math.max(from, start), Math.min(to, end), "gold", unit]);
    });
  }
  if (headers) {
    for (const match of text.slice(start, end).matchAll(/(?:^|(?<=\n\n))Document \d+:\n[^\n]*/g)) {
      ranges.push([start + match.index, start + match.index + match[0].length, "document"]);
    }
    const turns = trace.task.turns ? text.slice(start, end).matchAll(/^(?! )(?:Session \d+[^\n]*:$|[^\n:]{1,80}:)/gm) : [];
    for (const match of turns) {
      const kind = match[0].startsWith("Session ") ? "session" : "speaker";
      ranges.push([start + match.index, start + match.index + match[0].length, kind]);
    }
  }
  ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const nodes = [];
  let at = start;
  for (const [from, to, kind, unit] of ranges) {
    if (to <= at) {
      if (kind === "gold" && nodes.length && nodes[nodes.length - 1].dataset) {
        nodes[nodes.length - 1].dataset.unit += ` e${unit + 1}`; // two questions share this sentence
      }
      continue;
    }
    const first = Math.max(from, at);
    if (first > at) nodes.push(text.slice(at, first));
    if (kind === "gold") nodes.push(h("mark", {"data-unit": `e${unit + 1}`}, text.slice(first, to)));
    else if (kind !== "document") nodes.push(h("b", {class: kind}, text.slice(first, to)));
    else {
      const [header, ...title] = text.slice(first, to).split("\n");
      nodes.push(h("span", {class: "doc-number"}, header, "\n"), h("b", null, title.join("\n")));
    }
    at = to;
  }
  if (at < end) nodes.push(text.slice(at, end));
  return nodes;
}

/** A text of which the first lines show, and a click shows all. */
function clipped(...nodes) {
  return h(
    "div",
    {
      class: "text clip",
      title: "Click to show or hide the rest",
      onclick: (event) => {
        if (String(getSelection())) return; // text is being selected
        event.currentTarget.classList.toggle("clip");
      },
    },
    ...nodes,
  );
}

const badge = (unit, pale) =>
  h("span", {class: pale ? "unit pale" : "unit", title: `holds evidence e${unit + 1}`}, `e${unit + 1}`);

/** The same for a content; one with a mark shows at once. */
function content(trace, reference) {
  const box = clipped(contentNodes(trace, reference));
  if (box.querySelector("mark")) box.classList.remove("clip");
  return box;
}

/** With gold on, which units of evidence an entry holds; those of questions not asked at this step are pale. */
function badges(trace, number, units) {
  const {phase, cursor} = trace.steps[number - 1];
  return gold && units
    ? units.map((unit) => badge(unit, phase === 1 && trace.task.units[unit][0] !== cursor))
    : null;
}
