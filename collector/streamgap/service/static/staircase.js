// Draws one stream: two staircases on one time axis, each from its own side's zero.
import { amount, duration, tickLabel } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const GAP_LANE = 30;

/** Makes an SVG element; attributes are numbers and words of ours, text goes in as text. */
export function svg(name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

/** The time (ms) and the count up to which a stream must be drawn. */
export function extent(stream) {
  const { server, client } = stream;
  return {
    ms: Math.max(server.dur_ms, client.dur_ms, server.last_ms ?? 0, client.last_ms ?? 0, 1),
    count: Math.max(server.count, client.count, 1),
  };
}

/** How much of a side had been written (received) by `ms`. */
export function countAt(side, ms) {
  if (side.last_ms !== null && ms >= side.last_ms) return side.count;
  let reached = 0;
  while (reached < side.at_ms.length && side.at_ms[reached] <= ms) reached += 1;
  return reached ? (reached - 1) * side.stride + 1 : 0;
}

function stairs(side, x, y) {
  if (!side.at_ms.length) return `M${x(0)} ${y(0)}H${x(side.dur_ms)}`;
  const steps = side.at_ms.map((ms, k) => `H${x(ms)}V${y(k * side.stride + 1)}`);
  return `M${x(0)} ${y(0)}${steps.join("")}H${x(side.last_ms)}V${y(side.count)}`;
}

/** The surface between the sides: at each height, how long that content was under way. */
function underWay(stream, x, y) {
  const { server, client } = stream;
  const stride = Math.max(server.stride, client.stride);
  const thin = (side) => side.at_ms.filter((_, k) => (k * side.stride) % stride === 0);
  const written = thin(server);
  const seen = thin(client);
  const shared = Math.min(written.length, seen.length);
  if (!shared) return "";
  const top = Math.min(server.count, client.count);
  const level = (k) => y(Math.min(k * stride, top));
  const up = written.slice(0, shared).map((ms, k) => `L${x(ms)} ${level(k)}L${x(ms)} ${level(k + 1)}`);
  const down = seen.slice(0, shared).map((ms, k) => `L${x(ms)} ${level(k + 1)}L${x(ms)} ${level(k)}`);
  return `M${x(written[0])} ${y(0)}${up.join("")}${down.reverse().join("")}Z`;
}

function sides(stream, x, y) {
  const { server, client } = stream;
  return [
    svg("path", { class: "under-way", d: underWay(stream, x, y) }),
    svg("path", { class: "stairs server", d: stairs(server, x, y) }),
    svg("path", { class: "stairs client", d: stairs(client, x, y) }),
    ...endMark("server", server, x, y),
    ...(client.count < server.count && client.unit === server.unit ? missing(stream, x, y) : endMark("client", client, x, y)),
  ];
}

function endMark(name, side, x, y) {
  return side.last_ms === null ? [] : [svg("circle", { class: `end ${name}`, cx: x(side.last_ms), cy: y(side.count), r: 3 })];
}

/** A cross where the browser's side stops short, and the height it never reached. */
function missing({ server, client, verdict }, x, y) {
  const at = Math.max(client.last_ms ?? 0, client.dur_ms);
  const [cx, cy] = [x(at), y(client.count)];
  return [
    svg("path", { class: `never ${verdict}`, d: `M${x(client.last_ms ?? 0)} ${cy}H${cx}V${y(server.count)}` }),
    svg("path", { class: `stop ${verdict}`, d: `M${cx - 4} ${cy - 4}l8 8m0-8l-8 8` }),
  ];
}

/** Draws a small multiple: shape only. */
export function drawSmall(target, stream, { width, height }) {
  const { ms, count } = extent(stream);
  const x = (at) => fixed(2 + (at / ms) * (width - 6));
  const y = (n) => fixed(height - 3 - (n / count) * (height - 8));
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  target.replaceChildren(svg("path", { class: "ground", d: `M0 ${y(0)}H${width}` }), ...sides(stream, x, y));
}

/** Draws the large chart with axes, gap and hold; returns the scale's inverse (pixel → ms) for the readout. */
export function drawLarge(target, stream, { width, height }) {
  const { ms, count } = extent(stream);
  const left = 14 + 8 * amount(count).length;
  const [right, top, bottom] = [width - 14, 30, height - GAP_LANE - 22];
  const x = (at) => fixed(left + (at / ms) * (right - left));
  const y = (n) => fixed(bottom - (n / count) * (bottom - top));
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  target.replaceChildren(
    ...grid({ ms, count, left, right, top, bottom, x, y, height }),
    ...sides(stream, x, y),
    ...gapSpan(stream, { x, bottom, left, right }),
    ...holdSpan(stream, { x, y, left, right }),
    svg("path", { class: "cursor", id: "cursor", d: "" }),
  );
  return { left, right, top, bottom, msAt: (pixel) => ((pixel - left) / (right - left)) * ms, x };
}

function grid({ ms, count, left, right, bottom, x, y, height }) {
  const parts = [];
  for (const n of ticks(count, 4).filter((tick) => Number.isInteger(tick))) {
    parts.push(svg("path", { class: n ? "grid" : "ground", d: `M${left} ${y(n)}H${right}` }));
    parts.push(svg("text", { class: "tick", x: left - 8, y: y(n) + 4, "text-anchor": "end" }, amount(n)));
  }
  for (const at of ticks(ms, Math.max(3, Math.floor((right - left) / 110)))) {
    parts.push(svg("path", { class: "tick", d: `M${x(at)} ${bottom}v4` }));
    const anchor = at === 0 ? "start" : x(at) > right - 20 ? "end" : "middle";
    parts.push(svg("text", { class: "tick", x: x(at), y: height - 6, "text-anchor": anchor }, tickLabel(at)));
  }
  return parts;
}

/** The gap lies below the ground, between the two first chunks. */
function gapSpan(stream, { x, bottom, left, right }) {
  const [written, seen] = [stream.server.at_ms[0], stream.client.at_ms[0]];
  if (written === undefined || seen === undefined) return [];
  const at = bottom + GAP_LANE / 2 + 1;
  return [
    svg("path", { class: "leader", d: `M${x(written)} ${bottom}V${at + 5}M${x(seen)} ${bottom}V${at + 5}` }),
    ...span("gap", x(written), x(seen), at, { label: `gap ${duration(stream.gap_ms)}`, left, right }),
  ];
}

/** The hold lies at the height of the chunk that was kept longest: from when it could have come to when it came. */
function holdSpan(stream, { x, y, left, right }) {
  const hold = stream.hold_span;
  if (!hold) return [];
  const at = Math.min(y(hold.index + 1), y(0) - 10);
  const label = `hold ${duration(stream.hold_ms)}`;
  return span("hold", x(hold.from_ms), x(hold.to_ms), at, { label, left, right, above: true });
}

/** A measured length: a bar with end marks; its label in it, above it, or beside it where it is too short. */
function span(kind, from, to, at, { label, left, right, above = false }) {
  const width = label.length * 7.4 + 12;
  const fits = Math.abs(to - from) >= width;
  const beside = Math.max(from, to) + width < right ? Math.max(from, to) + 8 : Math.min(from, to) - 8;
  const anchor = fits ? "middle" : beside > to ? "start" : "end";
  const middle = Math.max(left + width / 2, (Number(from) + Number(to)) / 2);
  const place = { x: fixed(fits ? middle : beside), y: fixed(at + (above && fits ? -8 : 4)), "text-anchor": anchor };
  const broken = !above && fits ? `H${fixed(middle - width / 2)}M${fixed(middle + width / 2)} ${at}` : "";
  return [
    svg("path", { class: `span ${kind}`, d: `M${from} ${at - 4}v8M${to} ${at - 4}v8M${from} ${at}${broken}H${to}` }),
    svg("text", { class: `span-label ${kind}`, ...place }, label),
  ];
}

/** Round numbers from 0 to `max`, about `wanted` of them. */
function ticks(max, wanted) {
  const rough = max / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, k) => Number((k * step).toPrecision(12)));
}

const fixed = (value) => Math.round(value * 10) / 10;
