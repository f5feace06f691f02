// How a report's page looks: light and dark, from a phone's width up.
const light = `
  color-scheme: light;
  --ground: #ffffff; --raised: #f4f6f8; --ink: #16202a; --soft: #52606d; --line: #d5dce3; --grid: #e6ebf0;
  --link: #0b5cad; --right: 0 128 96; --wrong: 200 72 0; --focus: #0b5cad;
  --edge: rgb(22 32 42 / 0.35);`;
const dark = `
  color-scheme: dark;
  --ground: #12171c; --raised: #1c242c; --ink: #e8eef4; --soft: #a9b6c2; --line: #35414c; --grid: #252f38;
  --link: #7cc0ff; --right: 60 190 140; --wrong: 255 140 60; --focus: #7cc0ff;
  --edge: rgb(232 238 244 / 0.35);`;

const sides = [
  ['left', 'to right'],
  ['right', 'to left'],
] as const;
/** Where there is more at a side to scroll to, that edge is shaded: the covers move with the content, the shades stay. */
const shadedEdges = [
  ...sides.map(
    ([side, inwards]) =>
      `linear-gradient(${inwards}, var(--ground) 1.2rem, transparent) ${side} / 2.4rem 100% no-repeat local`,
  ),
  ...sides.map(
    ([side, inwards]) => `linear-gradient(${inwards}, var(--edge), transparent) ${side} / 0.9rem 100% no-repeat scroll`,
  ),
].join(', ');

export const pageStyle = `
:root {${light}
}
@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) {${dark}
} }
:root[data-theme=dark] {${dark}
}
* { box-sizing: border-box; }
html { scroll-padding-top: 3.5rem; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 0; top: 0; background: var(--raised); padding: 0.5rem; z-index: 3; }
header, main { max-width: 1280px; margin: 0 auto; padding: 0 1rem; }
header { display: grid; grid-template-columns: 1fr auto; align-items: center; padding-top: 1rem; }
header .soft { grid-column: 1; margin: 0; }
.theme { grid-row: 1 / span 2; grid-column: 2; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.75rem; }
h3 { font-size: 1.05rem; margin: 1rem 0 0.25rem; }
.soft, figcaption, caption { color: var(--soft); }
.soft { font-size: 0.875rem; }
nav.sections { position: sticky; top: 0; z-index: 2; display: flex; gap: 0.25rem; overflow-x: auto; background: ${shadedEdges}, var(--ground);
  border-bottom: 1px solid var(--line); padding: 0.5rem 1rem; margin-top: 0.75rem; }
@media (min-width: 1280px) { nav.sections { padding-inline: max(1rem, calc((100vw - 1280px) / 2 + 1rem)); } }
nav.sections a, .choice { padding: 0.25rem 0.75rem; border-radius: 1rem; text-decoration: none; white-space: nowrap; }
nav.sections a:hover, .choice:hover { background: var(--raised); }
.choices { display: flex; flex-wrap: wrap; gap: 0.35rem; }
.choice { border: 1px solid var(--line); }
.choice[aria-current] { background: var(--link); border-color: var(--link); color: var(--ground); }
button { font: inherit; color: inherit; background: var(--raised); border: 1px solid var(--line); border-radius: 0.4rem;
  padding: 0.3rem 0.8rem; cursor: pointer; }
button:disabled { opacity: 0.5; cursor: default; }
.about { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); gap: 0.5rem 1rem; margin: 0 0 1rem; }
.about dt { color: var(--soft); font-size: 0.8rem; }
.about dd { margin: 0; }
.wide { overflow-x: auto; max-width: 100%; background: ${shadedEdges}; }
table { border-collapse: collapse; font-size: 0.9rem; }
caption { text-align: left; padding: 0.25rem 0; }
th, td { padding: 0.3rem 0.6rem; border-bottom: 1px solid var(--line); text-align: left; font-weight: normal; white-space: nowrap; }
tbody th { font-weight: 600; }
thead th { color: var(--soft); vertical-align: bottom; }
thead th button { background: none; border: 0; padding: 0; color: inherit; }
thead th[aria-sort=ascending] button::after { content: ' ↑'; }
thead th[aria-sort=descending] button::after { content: ' ↓'; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.matrix td { text-align: center; min-width: 3rem; border: 1px solid var(--line); }
.matrix td.right { background: rgb(var(--right) / calc(0.08 + 0.45 * var(--share))); }
.matrix td.wrong { background: rgb(var(--wrong) / calc(0.6 * var(--share))); }
.matrix td a { color: var(--ink); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.5rem; align-items: start; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 0.9rem; margin-bottom: 0.25rem; }
.chart { position: relative; width: 100%; }
.positions { width: 100%; max-width: 24rem; table-layout: fixed; }
.positions td { padding: 0; height: 1.5rem; border: 1px solid var(--line); background: rgb(var(--right) / calc(var(--share) * 0.9)); }
.positions a { display: block; height: 100%; }
.bins { columns: 12rem; padding-left: 1.2rem; font-size: 0.875rem; }
.slider { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
.slider input { width: 12rem; accent-color: var(--link); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 0.75rem; margin: 0.75rem 0; }
.card { display: flex; flex-direction: column; justify-content: start; padding: 0.5rem; text-align: left; min-width: 0; }
.pair { display: grid !important; grid-template-columns: 1fr 1fr; gap: 0.25rem; align-items: start; }
.card-name { font-size: 0.9rem; margin-top: 0.3rem; }
.card-file { font-size: 0.8rem; color: var(--soft); }
.half { position: relative; display: block; width: min(100%, calc(var(--tall) * var(--aspect))); aspect-ratio: var(--aspect); background: var(--line); overflow: hidden; border-radius: 0.2rem; }
.pair { --tall: 16rem; }
.large { --tall: 78vh; }
.half img { width: 100%; height: 100%; display: block; object-fit: fill; }
.half svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.half rect, .half path { fill: none; stroke-width: 1.5; opacity: 0.75; }
.half path.line { fill-rule: evenodd; fill-opacity: 0.28; }
.half g.truth path.line { fill: #38e08c; }
.half g.found path.line { fill: #ffb02e; }
.half g.meant path.line { fill: #ff4fa0; }
.half .rim { stroke: #000; stroke-width: 3.5; opacity: 0.35; }
.half g.truth .line { stroke: #38e08c; }
.half g.found .line { stroke: #ffb02e; }
.half g.meant .line { stroke: #ff4fa0; stroke-width: 3; opacity: 1; }
.half g.meant .rim { stroke-width: 5.5; opacity: 0.6; }
.half text { fill: #fff; stroke: #000; stroke-width: 0.25em; paint-order: stroke; font-weight: 600; }
.side { position: absolute; left: 0; bottom: 0; background: rgb(0 0 0 / 0.65); color: #fff; font-size: 0.75rem; padding: 0 0.4rem; }
.no-picture { position: absolute; inset: 0; display: grid; place-items: center; color: var(--soft); font-size: 0.8rem; }
.viewer { width: min(96vw, 1240px); max-height: 96vh; background: var(--ground); color: var(--ink); border: 1px solid var(--line);
  border-radius: 0.6rem; padding: 1rem; }
.viewer::backdrop { background: rgb(0 0 0 / 0.6); }
.viewer-bar { display: flex; gap: 0.5rem; flex-wrap: wrap; }
.large { display: grid; grid-template-columns: 1fr 1fr; gap: 0.5rem; align-items: start; }
@media (max-width: 48rem) { .large { grid-template-columns: 1fr; } }
.large p { grid-column: 1 / -1; margin: 0; }
.batch { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); gap: 0.75rem; }
.batch img { width: 100%; display: block; border-radius: 0.2rem; }
`;
