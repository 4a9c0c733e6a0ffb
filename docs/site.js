// Tables and code that are wider than the page scroll in a box of their own, and the keyboard can scroll them. The theme
// makes these boxes, and takes the focus from them, whenever it likes; so this looks again at every change.
function reachable() {
  document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code").forEach((box) => {
    if (box.getAttribute("tabindex") !== "0") box.setAttribute("tabindex", "0");
  });
  document.querySelectorAll(".md-typeset__scrollwrap:not([role])").forEach((box) => {
    const number = document.querySelectorAll(".md-typeset__scrollwrap[role]").length + 1;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", `Table ${number}`);
    box.classList.toggle("many-columns", box.querySelectorAll("th").length > 8);
  });
  document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((nav) => {
    nav.setAttribute("aria-label", `Code ${document.querySelectorAll(".md-code__nav[aria-label]").length + 1}`);
  });
}
new MutationObserver(reachable).observe(document.body, { subtree: true, childList: true, attributeFilter: ["tabindex"] });
reachable();
