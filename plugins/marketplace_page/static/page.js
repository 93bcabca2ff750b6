// The theme of Airflow's UI, links that leave its frame, the dashboard in that theme, and the forms that start a run.
"use strict";

// ---------------------------------------------------------------------------------------------------------- theme
// Airflow's UI keeps its theme on the same origin: light, dark, or system. Loaded before the page is drawn.
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* storage is turned off: the system's */ }
  return chosen === "light" || chosen === "dark" ? chosen : systemDark.matches ? "dark" : "light";
}

function applyTheme() {
  document.documentElement.dataset.theme = theme();
  for (const frame of document.querySelectorAll("iframe[data-view]")) {
    const address = `${frame.dataset.view}?theme=${theme()}`;
    if (frame.getAttribute("src") !== address) frame.src = address;
  }
}

applyTheme();
addEventListener("storage", applyTheme);
systemDark.addEventListener("change", applyTheme);

// ---------------------------------------------------------------------------------------------------------- links
// The frame of Airflow's UI may neither load another page in its place nor download. Both sides are of one origin, so
// the link is followed by the document around it.
function outer() {
  try { return parent !== self && parent.document ? parent.document : null; } catch { return null; }
}

function follow(link) {
  const around = outer();
  if (!around) return false;
  const copy = around.createElement("a");
  copy.href = link.href;
  if (link.hasAttribute("download")) copy.download = "";
  around.body.append(copy);
  copy.click();
  copy.remove();
  return true;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-top], a[download]");
  if (link && !event.ctrlKey && !event.metaKey && follow(link)) event.preventDefault();
});

// ---------------------------------------------------------------------------------------------------------- forms
function element(tag, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
}

async function ask(path, body) {
  const answer = await fetch(document.body.dataset.airflow + path, {
    method: body ? "POST" : "GET",
    headers: { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const why = typeof said.detail === "string" ? said.detail : JSON.stringify(said.detail ?? said);
    throw new Error(answer.status === 403 ? "You may not do this: it needs the right to start runs of this DAG." : why);
  }
  return said;
}

// A field for a parameter, by its JSON schema: an input, and how to read it.
function field(name, parameter, given) {
  const { schema } = parameter;
  const types = [schema.type].flat();
  const id = `param-${name}`;
  const about = { id: `${id}-about`, className: "muted", textContent: parameter.description ?? "" };
  let input, read;
  if (types.includes("array") && schema.items?.enum) {
    const chosen = given?.split(",") ?? parameter.value ?? [];
    input = element("fieldset", { id }, element("legend", { textContent: name }));
    for (const one of schema.items.enum) {
      const box = element("input", { type: "checkbox", value: one, checked: chosen.includes(one) });
      input.append(element("label", { className: "choice" }, box, ` ${one}`));
    }
    read = () => [...input.querySelectorAll("input:checked")].map((box) => box.value);
    return { input, read, row: element("div", { className: "field" }, input, element("p", about)) };
  }
  if (types.includes("boolean")) {
    input = element("input", { type: "checkbox", id, checked: given ? given === "true" : parameter.value });
    read = () => input.checked;
  } else if (schema.enum) {
    input = element("select", { id });
    for (const one of schema.enum) input.append(element("option", { value: one, textContent: one }));
    input.value = given ?? parameter.value;
    read = () => input.value;
  } else if (types.includes("integer")) {
    input = element("input", { type: "number", id, value: given ?? parameter.value ?? "" });
    for (const [limit, key] of [["min", "minimum"], ["max", "maximum"]]) if (key in schema) input[limit] = schema[key];
    read = () => (input.value === "" ? null : Number(input.value));
  } else {
    input = element("input", { type: "text", id, value: given ?? parameter.value ?? "" });
    if (schema.format === "date-time") input.placeholder = "2026-01-31T08:00:00Z";
    read = () => (input.value === "" && types.includes("null") ? null : input.value);
  }
  input.setAttribute("aria-describedby", about.id);
  const label = element("label", { htmlFor: id, textContent: name });
  if (!types.includes("null") && schema.minLength) {
    input.required = true;
    label.append(element("span", { className: "muted", textContent: " (required)" }));
  }
  return { input, read, row: element("div", { className: "field" }, label, input, element("p", about)) };
}

async function showForm(form) {
  const dag = form.dataset.dag;
  const result = document.querySelector(".result");
  const given = new URLSearchParams(location.search);
  const { params, is_paused: isPaused } = await ask(`/api/v2/dags/${dag}/details`);
  const fields = Object.entries(params).map(([name, parameter]) => [name, field(name, parameter, given.get(name))]);
  const button = element("button", { type: "submit", textContent: "Start the run" });
  form.replaceChildren(...fields.map(([, made]) => made.row), button);
  if (isPaused) {
    form.prepend(element("p", { className: "banner alarm", textContent: `${dag} is paused: its run would wait.` }));
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const missing = fields.find(([, made]) => made.input.required && !made.input.value);
    if (missing) {
      result.textContent = `${missing[0]} is needed.`;
      missing[1].input.focus();
      return;
    }
    button.disabled = true;
    try {
      const conf = Object.fromEntries(fields.map(([name, made]) => [name, made.read()]));
      const run = await ask(`/api/v2/dags/${dag}/dagRuns`, { logical_date: null, conf });
      await watch(dag, run.dag_run_id, result);
    } catch (error) {
      result.textContent = error.message;
    }
    button.disabled = false;
  });
}

async function watch(dag, runId, result) {
  const path = `/dags/${dag}/runs/${encodeURIComponent(runId)}`;
  const state = element("strong");
  const link = element("a", { href: document.body.dataset.airflow + path, textContent: "Look at the run" });
  link.dataset.top = "";
  result.replaceChildren("The run is ", state, ". ", link);
  for (;;) {
    const run = await ask(`/api/v2/dags/${dag}/dagRuns/${encodeURIComponent(runId)}`);
    if (state.textContent !== run.state) state.textContent = run.state;
    if (run.state === "success" || run.state === "failed") return;
    await new Promise((done) => setTimeout(done, 1000));
  }
}

addEventListener("DOMContentLoaded", () => {
  applyTheme();
  const form = document.querySelector("form[data-dag]");
  if (form) showForm(form).catch((error) => form.replaceChildren(element("p", { className: "banner", textContent: error.message })));
});
