// Runs before anything is drawn, so that a chosen colour scheme does not flash.
(() => {
  let kept = null;
  try {
    kept = localStorage.getItem("theme");
  } catch {
    // No storage here (a private window): the device decides.
  }
  if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
})();
