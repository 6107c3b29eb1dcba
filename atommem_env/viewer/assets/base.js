// Small helpers: making elements, and saying numbers. Every text of the run enters the page as a text node only.

function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "share") node.style.setProperty("--share", value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
}

function fill(node, ...children) {
  node.replaceChildren();
  append(node, children);
}

const count = (number, one, many) =>
  `${number.toLocaleString("en")} ${number === 1 ? one : many || one + "s"}`;
/** A share in percent with one digit; what lies in the middle goes to the even digit, as in the table of a run. */
function percent(value) {
  if (value === null || value === undefined) return "–";
  const hundredths = 100 * value;
  if (Math.abs((4 * hundredths) % 2) !== 1) return hundredths.toFixed(1);
  const whole = Math.trunc(hundredths);
  return `${whole}.${Math.abs(hundredths - whole) === 0.25 ? 2 : 8}`;
}
const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${percent(Math.abs(value))}`;
const decimal = (value) => (value === null ? "–" : value.toFixed(2));
const sum = (values) => values.reduce((total, value) => total + value, 0);
const entryName = (id) => (id === 0 ? "scratchpad" : `#${id}`);
const oneLine = (text) => text.replace(/\s+/g, " ").trim();
