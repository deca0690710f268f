// The banner: loaded after the page, so that no page waits for it. The latest one is shown at once on the next page.
const KEY = "mailroom-health";
const INTERVAL_MS = 15000;

function show(region, html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const [fresh, old] = [parsed.body, [...region.children].map((child) => child.textContent).join()];
  if ([...fresh.children].map((child) => child.textContent).join() === old) return;
  region.replaceChildren(...[...fresh.children].map((child) => document.adoptNode(child)));
}

export async function showHealth() {
  const region = document.getElementById("health");
  if (!region) return;
  show(region, sessionStorage.getItem(KEY) ?? "");
  const refresh = async () => {
    if (document.hidden) return;
    try {
      const response = await fetch("/console/health");
      if (!response.ok) return;
      const html = await response.text();
      sessionStorage.setItem(KEY, html);
      show(region, html);
    } catch {
      // The console has ended, or the page is left: the live list reports it.
    }
  };
  await refresh();
  setInterval(refresh, INTERVAL_MS);
}
