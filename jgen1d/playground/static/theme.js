// A classic script in the head, so that the chosen theme is there before anything is painted.
(() => {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  const remembered = () => {
    try {
      return localStorage.getItem("jgen1d-theme");
    } catch {
      return null; // Storage may be forbidden; the system's theme is a fine answer.
    }
  };

  const apply = (theme) => {
    root.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = theme === "dark" ? "Light theme" : "Dark theme";
    document.dispatchEvent(new Event("themechange"));
  };

  const current = () => remembered() ?? (system.matches ? "dark" : "light");

  apply(current());
  system.addEventListener("change", () => apply(current()));
  document.addEventListener("DOMContentLoaded", () => {
    apply(current());
    document.getElementById("theme").addEventListener("click", () => {
      const theme = root.dataset.theme === "dark" ? "light" : "dark";
      try {
        localStorage.setItem("jgen1d-theme", theme);
      } catch {
        // Not remembered then.
      }
      apply(theme);
    });
  });
})();
