// The live page: takes the feed, keeps the last streams, and paints at most once per frame.
import { countAt, drawLarge, drawSmall, extent, svg } from "./staircase.js";
import { VERDICTS, ago, amount, description, duration, likely, quantity, sentence } from "./words.js";

const RETRY_MS = 2000;
const FOLLOW_MS = 1500;
const $ = (id) => document.getElementById(id);
const make = (name, className = "", text = "") => {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
};

const state = { streams: [], summary: null, capacity: 50, pinned: null, shown: null, shownAt: -Infinity, scale: null };

// --- the feed

function connect() {
  const source = new EventSource("live/events");
  source.onopen = () => say("live", "live");
  source.onerror = () => {
    say("lost", "reconnecting");
    // Any answer but 200 closes an EventSource for good.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
  };
  const on = (type, take) =>
    source.addEventListener(type, (event) => {
      take(JSON.parse(event.data));
      paintSoon();
    });
  on("snapshot", ({ streams, summary, capacity }) => Object.assign(state, { streams: streams.map(dated), summary, capacity }));
  on("stream", (stream) => {
    state.streams = [...state.streams, dated(stream)].slice(-state.capacity);
  });
  on("summary", (summary) => Object.assign(state, { summary }));
}

/** Ages come from the service; from here on this page's own clock counts. A restarted service numbers from 1 again. */
const dated = (stream) => ({
  ...stream,
  key: `${stream.seq} ${stream.sid}`,
  since: performance.now() - stream.age_ms,
});

function say(name, text) {
  $("connection").dataset.state = name;
  $("connection").lastElementChild.textContent = text;
}

// --- painting

let frame = 0;
function paintSoon() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    paint();
  });
}

function paint() {
  const { summary, streams } = state;
  if (!summary) return;
  $("empty").hidden = streams.length > 0;
  $("filled").hidden = streams.length === 0;
  if (!streams.length) return paintEmpty(summary);
  paintFigures(summary);
  paintVerdicts(summary);
  paintMechanisms(summary);
  paintRoutes(summary);
  paintHero();
  paintStreams();
}

function paintEmpty({ coverage }) {
  $("empty-hint").textContent = coverage?.finished
    ? `App servers finished ${amount(coverage.finished)} streams, but no browser reported on one: look at step 2.`
    : "A joined stream needs two halves, and neither has to come first:";
}

function paintFigures({ overall, joined, coverage }) {
  $("gap-p95").textContent = duration(overall.gap_p95_ms);
  $("gap-p50").textContent = duration(overall.gap_p50_ms);
  $("hold-p95").textContent = duration(overall.hold_p95_ms);
  $("hold-p50").textContent = duration(overall.hold_p50_ms);
  $("joined").textContent = amount(joined);
  $("coverage").textContent = coverage?.finished ? `${Math.floor((coverage.joined / coverage.finished) * 1000) / 10} %` : "–";
  $("coverage-of").textContent = coverage?.finished ? `of ${amount(coverage.finished)} finished` : "no figure yet";
  $("window").textContent = amount(overall.streams);
}

function paintVerdicts({ verdicts, joined }) {
  const present = Object.keys(VERDICTS).filter((verdict) => verdicts[verdict]);
  $("verdict-counts").replaceChildren(
    ...present.map((verdict) => {
      const item = make("li");
      item.append(badge(verdict), share(verdicts[verdict], joined, `v-${verdict}`), make("b", "", amount(verdicts[verdict])));
      return item;
    }),
  );
}

function paintMechanisms({ held_by, verdicts }) {
  $("held-by").hidden = !held_by.length;
  $("mechanism-counts").replaceChildren(
    ...held_by.map(({ mechanism, streams }) => {
      const item = make("li");
      item.append(page(mechanism), share(streams, verdicts.held, "v-held"), make("b", "", amount(streams)));
      item.title = mechanism.title;
      return item;
    }),
  );
}

/** A link to the page that explains a mechanism. */
function page({ name, code, url }, text = name.replaceAll("_", " ")) {
  const link = make("a", "", text);
  Object.assign(link, { href: url, target: "_blank", rel: "noopener", title: `What ${code} is and what frees it` });
  return link;
}

function paintRoutes({ routes }) {
  const cell = (ms) => make("td", "", duration(ms));
  $("routes").replaceChildren(
    ...routes.map((route) => {
      const row = make("tr");
      const name = make("th", "", route.route || "(no route)");
      name.scope = "row";
      name.title = `${route.route}: ${amount(route.streams)} streams`;
      row.append(name, cell(route.gap_p50_ms), cell(route.gap_p95_ms), cell(route.hold_p50_ms), cell(route.hold_p95_ms));
      return row;
    }),
  );
}

/** A bar as long as `part` of `whole`. */
function share(part, whole, className) {
  const bar = svg("svg", { class: "share", viewBox: `0 0 ${whole} 1`, preserveAspectRatio: "none", "aria-hidden": "true" });
  bar.append(svg("rect", { class: className, width: part, height: 1 }));
  return bar;
}

function badge(verdict) {
  const { word, shape } = VERDICTS[verdict];
  const item = make("span", `badge v-${verdict}`);
  const mark = svg("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" });
  mark.append(svg("path", { d: shape }));
  item.append(mark, make("span", "", word));
  return item;
}

// --- the large chart

let later = 0;
/** Chooses what the large chart shows: the pinned stream, else the latest, changed slowly enough to be read. */
function choose() {
  const pinned = state.streams.find(({ key }) => key === state.pinned);
  if (pinned) return pinned;
  state.pinned = null;
  const wait = state.shownAt + FOLLOW_MS - performance.now();
  const shown = state.streams.find(({ key }) => key === state.shown);
  if (!shown || wait <= 0) return state.streams.at(-1);
  clearTimeout(later);
  later = setTimeout(paintSoon, wait);
  return shown;
}

function paintHero() {
  const stream = choose();
  $("follow").hidden = state.pinned === null;
  if (stream.key === state.shown && state.scale) return;
  if (stream.key !== state.shown) state.shownAt = performance.now();
  state.shown = stream.key;
  const title = [badge(stream.verdict), make("span", "route", stream.route || "(no route)")];
  if (stream.model) title.push(make("span", "soft", stream.model));
  $("hero-title").replaceChildren(...title);
  $("hero-says").textContent = sentence(stream);
  paintMechanism(stream);
  $("hero-wrote").textContent = quantity(stream.server);
  $("hero-got").textContent = quantity(stream.client);
  $("hero-ids").textContent = [`stream ${stream.sid}`, stream.trace_id && `trace ${stream.trace_id}`].filter(Boolean).join(" · ");
  $("readout").textContent = "";
  paintStages(stream);
  const chart = $("hero-chart");
  chart.setAttribute("aria-label", description(stream));
  const { width, height } = chart.getBoundingClientRect();
  state.scale = drawLarge(chart, stream, { width, height });
}

function paintMechanism({ mechanism }) {
  $("hero-mechanism").hidden = !mechanism;
  if (mechanism) $("hero-mechanism").replaceChildren(page(mechanism, mechanism.code), ` ${likely(mechanism)}`);
}

/** Where the browser's wait for its first chunk went, and how long the page then took to paint it. */
function paintStages(stream) {
  const path = stream.gap_ms === null ? null : Math.max(stream.gap_ms, 0);
  const stages = [["app", stream.app_ms], ["model", stream.model_ms], ["path", path], ["page", stream.page_ms]];
  const known = stages.filter(([, ms]) => ms !== null);
  const total = known.reduce((sum, [, ms]) => sum + ms, 0);
  const bar = svg("svg", { viewBox: `0 0 ${total || 1} 1`, preserveAspectRatio: "none", "aria-hidden": "true" });
  let from = 0;
  for (const [name, ms] of known) {
    bar.append(svg("rect", { class: `stage-${name}`, x: from, y: 0, width: ms, height: 1 }));
    from += ms;
  }
  const list = make("dl");
  for (const [name, ms] of known) {
    const item = make("div", `stage-${name}`);
    item.append(make("dt", "", name), make("dd", "", duration(ms)));
    list.append(item);
  }
  $("stages").replaceChildren(...(known.length ? [make("h3", "", "Wait for the first chunk"), bar, list] : []));
}

function readOut(event) {
  const stream = state.streams.find(({ key }) => key === state.shown);
  if (!stream || !state.scale) return;
  const { left, right, top, bottom, msAt } = state.scale;
  const at = event.clientX - $("hero-chart").getBoundingClientRect().left;
  const inside = event.type !== "pointerleave" && at >= left && at <= right;
  $("cursor")?.setAttribute("d", inside ? `M${at} ${top}V${bottom}` : "");
  const ms = Math.min(msAt(at), extent(stream).ms);
  $("readout").textContent = inside
    ? `${duration(ms)}: ${amount(countAt(stream.server, ms))} written, ${amount(countAt(stream.client, ms))} here`
    : "";
}

// --- the small multiples

const cards = new Map();

function paintStreams() {
  const wanted = new Set(state.streams.map(({ key }) => key));
  for (const [key, card] of cards) {
    if (wanted.has(key)) continue;
    card.item.remove();
    cards.delete(key);
  }
  for (const stream of state.streams) {
    if (!cards.has(stream.key)) addCard(stream);
    cards.get(stream.key).button.setAttribute("aria-pressed", String(stream.key === state.shown));
  }
  tell();
}

function addCard(stream) {
  const item = make("li");
  const button = make("button");
  button.type = "button";
  const age = make("time");
  const chart = svg("svg", { "aria-hidden": "true" });
  drawSmall(chart, stream, { width: 240, height: 72 });
  const head = make("span", "head");
  head.append(badge(stream.verdict), age);
  const numbers = make("span", "numbers");
  for (const [name, ms] of [["gap", stream.gap_ms], ["hold", stream.hold_ms]]) {
    const pair = make("span", "", `${name} `);
    pair.append(make("b", "", duration(ms)));
    numbers.append(pair);
  }
  const foot = make("span", "foot");
  foot.append(make("span", "route", stream.route || "(no route)"), make("span", "soft", duration(extent(stream).ms)));
  button.append(head, chart, foot, numbers);
  button.addEventListener("click", () => pin(stream.key));
  item.append(button);
  $("streams").prepend(item);
  cards.set(stream.key, { item, button, age, since: stream.since });
}

function tell() {
  for (const { age, since } of cards.values()) age.textContent = ago(performance.now() - since);
}

function pin(key) {
  state.pinned = key;
  if (key === null) state.shownAt = -Infinity;
  paint();
}

$("follow").addEventListener("click", () => pin(null));
$("hero-chart").addEventListener("pointermove", readOut);
$("hero-chart").addEventListener("pointerleave", readOut);
new ResizeObserver(() => {
  state.scale = null;
  paintSoon();
}).observe($("hero-chart"));
setInterval(tell, 1000);
connect();
