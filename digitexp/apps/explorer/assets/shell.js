// Tabs, the link that keeps the choice, and the frames of the tools.
"use strict";

window.dash_clientside = window.dash_clientside || {};

(() => {
  const TABS = ["draw", "batch", "softmax", "training", "decision_regions"];
  const TOOLS = TABS.slice(2);
  const stay = () => window.dash_clientside.no_update;
  let isFirst = true;

  function chooseTab(...inputs) {
    const triggered = window.dash_clientside.callback_context.triggered
      .map((one) => one.prop_id.split(".")[0])
      .find((id) => id.startsWith("tab-"));
    if (triggered && !isFirst) return triggered.slice("tab-".length);
    isFirst = false;
    const wished = new URLSearchParams(inputs[TABS.length] || "").get("tab");
    return TABS.includes(wished) ? wished : "draw";
  }

  // Keeps the choice in the address, and gives the open tool's frame its page.
  function showTab(tab, trial, beside, sweep, ...sources) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ sweep, trial, beside })) {
      if (value) query.set(name, value);
    }
    const chosen = query.toString();
    if (sweep) {
      if (tab !== "draw") query.set("tab", tab);
      window.history.replaceState(null, "", `${window.location.pathname}?${query}`);
    }
    const classes = TABS.map((name) => `panel ${name}${name === tab ? "" : " away"}`);
    const selected = TABS.map((name) => String(name === tab));
    const frames = TOOLS.map((name, number) => {
      const source = `/tools/${name}.html?${chosen}`;
      return name === tab && sweep && source !== sources[number] ? source : stay();
    });
    return [...classes, ...selected, ...frames];
  }

  // Arrow keys go from tab to tab, as readers of a tab list expect.
  function moveByKeys(event) {
    const buttons = TABS.map((name) => document.getElementById(`tab-${name}`));
    const at = buttons.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (at < 0 || !step) return;
    const next = buttons[(at + step + TABS.length) % TABS.length];
    next.focus();
    next.click();
  }

  function start() {
    document.querySelector(".tabs").addEventListener("keydown", moveByKeys);
    window.explorerPad.start();
    window.explorerBatch.start();
    return true;
  }

  window.dash_clientside.explorer = { chooseTab, showTab, start };
})();
