// The settings in effect, and a change of them: first in the simulator, then here.
import { call } from "../common/api.js";
import { Name, Note, Section, say, useLoaded } from "../common/ui.js";
import { html, useState } from "../common/vendor/htm-preact.js";
import { Change } from "./change.js";
import { At, Difference, Shown, Table, text } from "./parts.js";

export function Settings({ may }) {
  const found = useLoaded(() => call("GET", "/admin/settings"), []);
  const [wanted, setWanted] = useState({});
  const [asked, ask] = useState(false);
  const [note, setNote] = useState("");
  const want = (name, value) => setWanted((old) => ({ ...old, [name]: value }));
  const done = (answer) => {
    ask(false);
    setWanted({});
    setNote(answer.changed ? `Version ${answer.version} is in effect everywhere in half a minute.` : "It was so already.");
    found.again();
  };
  return html`
    <h1>Settings</h1>
    ${note && html`<${Note} kind="good">${note}<//>`}
    <${Shown} of=${found} what="the settings" draw=${({ version, problem, settings, versions }) => {
      const changes = Object.fromEntries(
        settings.filter(({ name, value }) => name in wanted && wanted[name] !== value).map(({ name }) => [name, wanted[name]]),
      );
      const some = Object.keys(changes).length > 0;
      return html`
        ${problem && html`<${Note} kind="bad" role="alert">What stands in the table is not valid, and is in effect nowhere: <bdi>${problem}</bdi><//>`}
        <${Section} id="in-effect" title="In effect" busy=${found.busy} aside=${html`<span class="tag">version ${version}</span>`}>
          <${Table} caption="Settings in effect" rows=${settings} columns=${[
            ["Setting", (one) => html`<code>${one.name}</code>`],
            ["Value", (one) => text(one.value), true],
            ["From", (one) => one.source],
            ...(may ? [["Change to", (one) => html`<${Field} of=${one} value=${wanted[one.name] ?? one.value} set=${(value) => want(one.name, value)} />`]] : []),
          ]} />
          ${some && html`
            <p>Try it first, on simulated players, where the repository is:</p>
            <${Simulator} changes=${changes} />
            <p class="buttons">
              <button class="main" onClick=${() => ask(true)}>Change these settings</button>
              <button onClick=${() => (setWanted({}), ask(false))}>Forget it</button>
            </p>
          `}
        <//>
        ${asked && some && html`
          <${Change} title="Change settings" method="PUT" path="/admin/settings" cancel=${() => ask(false)} done=${done}
            body=${() => ({ changes, expectedVersion: version })} />
        `}
        <${Section} id="versions" title="Versions">
          <${Table} caption="Versions of the settings" rows=${versions} empty="Nobody has changed any." columns=${[
            ["Version", (one) => one.version, true],
            ["When", (one) => html`<${At} at=${one.at} />`],
            ["Sets", (one) => html`<${Difference} before=${{}} after=${one.changes} />`],
            ["Who and why", (one) => html`<${Name} of=${one.author} />: <bdi class="reason">${one.reason}</bdi>`],
          ]} />
        <//>
      `;
    }} />
  `;
}

/** By the kind of value that the setting has. */
function Field({ of: { name, value: now }, value, set }) {
  const label = `New value of ${name}`;
  if (typeof now === "boolean")
    return html`<select aria-label=${label} value=${String(value)} onChange=${(event) => set(event.target.value === "true")}>
      <option value="true">yes</option><option value="false">no</option></select>`;
  if (typeof now === "number")
    return html`<input aria-label=${label} type="number" min="0" step="1" value=${value}
      onInput=${(event) => set(event.target.value === "" ? now : Number(event.target.value))} />`;
  return html`<input aria-label=${label} value=${value} onInput=${(event) => set(event.target.value.trim() || now)} />`;
}

function Simulator({ changes }) {
  const line = `make simulate SET='${Object.entries(changes).map(([name, value]) => `${name}=${value}`).join(" ")}'`;
  const copy = async () => {
    await navigator.clipboard.writeText(line);
    say("Copied.");
  };
  return html`<pre tabindex="0" aria-label="Command">${line}</pre><button onClick=${copy}>Copy the command</button>`;
}
