// The run's data: the table's at once, tasks and episodes when somebody looks at them.

const RUN = JSON.parse(document.getElementById("data").textContent);
const STAGES = ["seen", "written", "kept", "read"];

const EPISODES = RUN.episodes.map((episode, number) => {
  const task = RUN.tasks[episode.task];
  const env = RUN.envs[task.env];
  const search = [env.name, episode.policy, episode.engine, `task ${task.index}`];
  task.questions.forEach((question, at) =>
    search.push(question.question, ...question.answers, episode.questions[at].prediction),
  );
  return {...episode, number, task, env, taskNumber: episode.task, search: search.join("\n").toLowerCase()};
});
const BY_KEY = new Map(
  EPISODES.map((episode) => [key(episode.env.name, episode.policy, episode.task.index), episode]),
);
const ENGINES = [...new Set(EPISODES.map((episode) => episode.engine).filter(Boolean))];
const POLICIES = [...new Set(EPISODES.map((episode) => episode.policy))];

function key(...parts) {
  return JSON.stringify(parts.map(String));
}

const OUTCOMES = {
  "": ["any outcome", () => true],
  wrong: ["some answer wrong", (episode) => episode.em < 1],
  right: ["all answers right", (episode) => episode.em === 1],
  unwritten: [
    "evidence never written",
    (episode) => questionsWith(episode, (stage) => stage.written < stage.seen),
  ],
  lost: [
    "evidence written, then lost",
    (episode) => questionsWith(episode, (stage) => stage.kept < stage.written),
  ],
  unread: [
    "evidence kept, not read",
    (episode) => questionsWith(episode, (stage) => stage.read < stage.kept),
  ],
  unused: [
    "all evidence read, answer wrong",
    (episode) => questionsWith(episode, (stage, question) => stage.read === 1 && question.em < 1),
  ],
  refused: ["some operation refused", (episode) => episode.refused > 0],
};

function questionsWith(episode, test) {
  return episode.questions.some((question) => question.evidence && test(question.evidence, question));
}

const unpacked = new Map();

async function unpack(id) {
  if (!unpacked.has(id)) {
    if (unpacked.size > 12) unpacked.delete(unpacked.keys().next().value);
    unpacked.set(id, inflate(id));
  }
  return unpacked.get(id);
}

async function inflate(id) {
  if (document.readyState === "loading") {
    await new Promise((done) => document.addEventListener("DOMContentLoaded", done, {once: true}));
  }
  if (!("DecompressionStream" in window)) {
    throw new Error(
      "this browser cannot unpack the data: it needs DecompressionStream (any browser of 2023 or later)",
    );
  }
  const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (sign) => sign.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const opened = new Map(); // the traces of the episodes that were looked at last

async function open(row) {
  if (!row.blob) return null;
  if (!opened.has(row)) {
    const [task, data] = await Promise.all([unpack(row.task.blob), unpack(row.blob)]);
    if (opened.size > 4) opened.delete(opened.keys().next().value);
    opened.set(row, new Trace(row, task, data));
  }
  return opened.get(row);
}

/** An episode that has been unpacked: the memory at any step is made by carrying out its operations again. */
class Trace {
  constructor(row, task, data) {
    this.row = row;
    this.task = task;
    this.steps = data.steps;
    this.events = data.events;
    this.holds = data.holds;
    this.isolated = data.isolated; // every question begins with the memory as it was before it
    this.credit = data.credit; // which score the values of writes are of, or why there are none
    this.uses = new Map(); // step -> what happened to evidence there
    let queries = [],
      retrieved = [];
    for (const step of this.steps) {
      if (step.queries) ({queries, retrieved} = step);
      step.queries = queries;
      step.retrieved = retrieved;
    }
    (this.events || []).forEach((events, unit) =>
      events.forEach(([kind, step, id, operation]) => {
        if (!this.uses.has(step)) this.uses.set(step, []);
        this.uses.get(step).push({unit, kind, id, operation});
      }),
    );
  }

  text(content) {
    return typeof content === "string" ? content : this.task.text.slice(content[0], content[0] + content[1]);
  }

  /** The memory after `step` (from 1; 0: empty), and what that step did to it. */
  memory(step) {
    if (!this.last || this.last.step !== step) this.last = {step, memory: this.replayed(step)};
    return this.last.memory;
  }

  replayed(step) {
    const entries = new Map();
    let scratchpad = "";
    let before = {entries: new Map(), scratchpad};
    const at = this.steps[step - 1];
    for (let number = 0; number < step; number++) {
      const {phase, cursor} = this.steps[number];
      // What an isolated question writes is gone when another, or a chunk, is shown.
      if (this.isolated && phase === 1 && !(at.phase === 1 && at.cursor === cursor)) continue;
      if (number === step - 1) before = {entries: new Map(entries), scratchpad};
      for (const operation of this.steps[number].action) {
        if (operation.refused) continue;
        if (operation.evicted !== undefined) entries.delete(operation.evicted);
        if (operation.op === "create") entries.set(operation.id, operation.content);
        else if (operation.op === "update" && operation.id === 0) scratchpad = operation.content;
        else if (operation.op === "update") entries.set(operation.id, operation.content);
        else if (operation.op === "delete" && operation.id === 0) scratchpad = "";
        else if (operation.op === "delete") entries.delete(operation.id);
      }
    }
    return {entries, scratchpad, before};
  }

  /** The units of evidence that each entry holds after `step`. */
  held(step) {
    const held = new Map();
    for (const [at, id, units] of this.holds) {
      if (at > step) break;
      held.set(id, units);
    }
    return held;
  }
}
