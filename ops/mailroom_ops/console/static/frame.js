// The script of every page: local times, filters without a button, copy buttons, tooltips, keys and the banner.
import { addCopyButtons } from "./copy.js";
import { setUpFilters } from "./filters.js";
import { showHealth } from "./health.js";
import { setUpKeys } from "./keys.js";
import { localize } from "./times.js";
import { setUpTooltips } from "./tooltips.js";

localize(document);
setUpFilters();
addCopyButtons();
setUpTooltips();
setUpKeys();
showHealth();

// On a phone, the navigation is one row that scrolls.
const here = document.querySelector(".pages [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.clientWidth / 2;
