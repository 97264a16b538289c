// What several screens of /ops are made of.
import { Empty, Failed, Loading, Name, When, useLoaded } from "../common/ui.js";
import { call } from "../common/api.js";
import { html, useState } from "../common/vendor/htm-preact.js";

export const playerLink = (id) => `#/player/${encodeURIComponent(id)}`;
export const heistLink = (id) => `#/heist/${encodeURIComponent(id)}`;

export const PlayerLink = ({ id, name }) => html`
  <a href=${playerLink(id)}>${name ? html`<${Name} of=${name} />` : html`<code>${id}</code>`}</a>
`;
export const HeistLink = ({ id, children }) => html`
  <a href=${heistLink(id)}>${children ?? html`<code>${id}</code>`}</a>
`;

export const At = ({ at }) => (at ? html`<${When} at=${at} />` : html`<span class="soft">never</span>`);

/** Facts as a list of terms: [[term, what], …]; what is null is left out. */
export const Facts = ({ of }) => html`
  <dl class="facts">
    ${of.filter(([, what]) => what !== null && what !== undefined).map(([term, what]) => html`
      <div key=${term}><dt>${term}</dt><dd>${what}</dd></div>
    `)}
  </dl>
`;

/** A table that becomes a stack of cards where it is narrow. Columns: [[heading, row => cell, number?], …] */
export const Table = ({ caption, columns, rows, empty = "Nothing." }) =>
  rows.length === 0
    ? html`<${Empty}>${empty}<//>`
    : html`
        <table>
          <caption class="visually-hidden">${caption}</caption>
          <thead><tr>${columns.map(([name, , number]) => html`
            <th scope="col" class=${number ? "amount" : null}>${name}</th>`)}</tr></thead>
          <tbody>
            ${rows.map((row, at) => html`
              <tr key=${at}>
                ${columns.map(([name, cell, number]) => html`
                  <td data-name=${name} class=${number ? "amount" : null}><div>${cell(row)}</div></td>`)}
              </tr>
            `)}
          </tbody>
        </table>
      `;

/** What is loaded, or why not: `draw` gets the data; until then there is `title`, if any. */
export function Shown({ of, what, title, draw }) {
  return html`
    ${title && of.data === undefined && html`<h1>${title}</h1>`}
    ${of.error && html`<${Failed} error=${of.error} again=${of.again} />`}
    ${of.data === undefined && !of.error && html`<${Loading} what=${what} />`}
    ${of.data !== undefined && draw(of.data)}
  `;
}

/** Pages of a list, one below the other; `entries` is the member of the answer that they are in. */
export function usePages(path, entries) {
  const first = useLoaded(() => call("GET", path), [path]);
  const [rest, setRest] = useState({ of: null, entries: [], cursor: null });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const mine = rest.of === first.data ? rest : { entries: [], cursor: first.data?.nextCursor };
  const more = async () => {
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      const page = await call("GET", `${path}?cursor=${encodeURIComponent(mine.cursor)}`);
      setRest({
        of: first.data,
        entries: [...mine.entries, ...page[entries]],
        cursor: page.nextCursor,
      });
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return {
    ...first,
    entries: [...(first.data?.[entries] ?? []), ...mine.entries],
    older: mine.cursor && html`<p><button onClick=${more} disabled=${busy}>Show older</button></p>`,
    trouble: error && html`<${Failed} error=${error} />`,
  };
}

/** What an action, or a change, has otherwise after it than before: "blocked: no → yes". */
export function Difference({ before, after }) {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (name) => String(before[name]) !== String(after[name]),
  );
  return html`
    <ul class="difference">
      ${names.map((name) => html`
        <li key=${name}><b>${words(name)}</b>${": "}
          ${before[name] !== undefined && html`<del>${text(before[name])}</del>`}
          ${before[name] !== undefined && after[name] !== undefined && " → "}
          ${after[name] !== undefined && html`<ins>${text(after[name])}</ins>`}
        </li>
      `)}
    </ul>
  `;
}

export const text = (value) =>
  value === true ? "yes" : value === false ? "no" : value === null ? "none" : typeof value === "object" ? JSON.stringify(value) : String(value);

/** "attackerPoints" as people read it; names of settings stay. */
const words = (name) => (name.startsWith("HEIST_") ? name : name.replace(/([A-Z])/g, " $1").toLowerCase());

/** An entry of the log of operator actions. */
export const Action = ({ of }) => html`
  <p><b>${of.what}</b> ${subject(of.subject)} by <${Name} of=${of.whoName ?? of.who} /></p>
  <p><bdi class="reason">${of.why}</bdi></p>
  <${Difference} before=${of.before} after=${of.after} />
`;

function subject(what) {
  const [kind, id] = [what.split(" ")[0], what.slice(what.indexOf(" ") + 1)];
  if (kind === "player") return html`player <${PlayerLink} id=${id} />`;
  if (kind === "heist") return html`heist <${HeistLink} id=${id} />`;
  return html`<bdi>${what}</bdi>`;
}
