// The three reports, as tables and pictures.
import { call } from "../common/api.js";
import { Name, Section, number, useLoaded } from "../common/ui.js";
import { html } from "../common/vendor/htm-preact.js";
import { At, PlayerLink, Shown, Table } from "./parts.js";

const AVERAGE = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

export function Reports() {
  const days = useLoaded(() => call("GET", "/admin/stats/heists-per-day"), []);
  const balances = useLoaded(() => call("GET", "/admin/stats/token-distribution"), []);
  const robbers = useLoaded(() => call("GET", "/admin/stats/top-robbers"), []);
  return html`
    <h1>Reports</h1>
    <div class="grid">
      <${Section} id="days" title="Heists per day" busy=${days.busy}>
        <${Shown} of=${days} what="the report" draw=${(report) => html`
          <p class="soft">Since <${At} at=${report.since} />; days are UTC.</p>
          <${Bars} label="Heists per day, those that succeeded" bars=${[...report.days].reverse().map((day) => ({
            name: day.date.slice(5), value: day.successfulHeists, more: day.failedHeists,
          }))} legend=${["succeeded", "refused"]} />
          <${Table} caption="Heists per day" rows=${report.days} empty="No heist in these days." columns=${[
            ["Day", (day) => html`<span class="number">${day.date}</span>`],
            ["Succeeded", (day) => number(day.successfulHeists), true],
            ["Refused", (day) => number(day.failedHeists), true],
            ["Average", (day) => (day.avgPointsStolen === null ? "–" : AVERAGE.format(day.avgPointsStolen)), true],
          ]} />
        `} />
      <//>
      <${Section} id="balances" title="Token balances" busy=${balances.busy}>
        <${Shown} of=${balances} what="the report" draw=${(report) => html`
          <${Bars} label="Players by their balance of tokens" bars=${[...report.balances].reverse().slice(0, 12).map((row) => ({
            name: String(row.balance), value: row.userCount, more: 0,
          }))} />
          <${Table} caption="Players by their balance" rows=${report.balances} empty="Nobody has had a token." columns=${[
            ["Tokens", (row) => number(row.balance), true],
            ["Players", (row) => number(row.userCount), true],
          ]} />
        `} />
      <//>
      <${Section} id="robbers" title="Top robbers" busy=${robbers.busy}>
        <${Shown} of=${robbers} what="the report" draw=${(report) => html`
          <p class="soft">Since <${At} at=${report.since} />.</p>
          <${Table} caption="Top robbers" rows=${report.robbers} empty="Nobody robbed anybody." columns=${[
            ["Player", (row) => html`<${PlayerLink} id=${row.userId} name=${row.name} />`],
            ["Heists", (row) => number(row.heistCount), true],
            ["Points", (row) => number(row.totalStolen), true],
          ]} />
        `} />
      <//>
    </div>
  `;
}

const WIDTH = 320;
const HEIGHT = 120;
const FOOT = 18;

/** A bar for each {name, value, more}: `more` stands on `value`. The table beside it says the same. */
function Bars({ label, bars, legend }) {
  if (bars.length === 0) return null;
  const highest = Math.max(1, ...bars.map(({ value, more }) => value + more));
  const step = WIDTH / bars.length;
  const wide = Math.min(36, step * 0.7);
  const tall = (value) => (value / highest) * (HEIGHT - 16);
  const told = bars.map(({ name, value, more }) => `${name}: ${value}${more ? ` and ${more}` : ""}`).join(", ");
  return html`
    <svg class="bars" viewBox="0 0 ${WIDTH} ${HEIGHT + FOOT}" role="img" aria-label="${label}. ${told}">
      ${bars.map(({ name, value, more }, at) => {
        const x = at * step + (step - wide) / 2;
        const top = HEIGHT - tall(value) - tall(more);
        return html`
          <g key=${name}>
            <rect class="value" x=${x} y=${HEIGHT - tall(value)} width=${wide} height=${tall(value)} />
            <rect class="more" x=${x} y=${top} width=${wide} height=${tall(more)} />
            <text x=${x + wide / 2} y=${top - 3}>${number(value + more)}</text>
            <text x=${x + wide / 2} y=${HEIGHT + 13}>${name}</text>
          </g>
        `;
      })}
      <line x1="0" y1=${HEIGHT} x2=${WIDTH} y2=${HEIGHT} />
    </svg>
    ${legend && html`<p class="legend"><span class="value"></span>${legend[0]} <span class="more"></span>${legend[1]}</p>`}
  `;
}
