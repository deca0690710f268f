"""Build the website of the documentation from the same files that a repository browser shows.

The pages keep their places, so that a relative link works here and there. Four things are changed in the copies: a
link to a folder leads to its README, a link to a folder without one is plain text, README.md is index.md, and a link
that shows the name of a page's file shows the page's title.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIGURATION = Path(__file__).parent / "zensical.toml"
WORKSPACE = ROOT / ".cache" / "site"
TARGET = ROOT / "dist" / "docs"
FOLDERS = ("clients", "docs")
FILES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE")
FENCE = re.compile(r"^(`{3,}).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")
EXTERNAL = re.compile(r"[a-z]+:|#")


def main() -> int:
    """Copy the pages, build the site, and replace dist/docs by it; return the exit code of the generator."""
    pages = WORKSPACE / "pages"
    shutil.rmtree(WORKSPACE, ignore_errors=True)
    copied = set()
    for path in _sources():
        copied |= _copy(path, pages)
    text = CONFIGURATION.read_text("utf-8")
    pages_of_site = sorted(place.as_posix() for place in copied if place.suffix == ".md")
    (WORKSPACE / "zensical.toml").write_text(_with_navigation(text, pages_of_site), "utf-8")
    generator = Path(sys.executable).parent / "zensical"
    done = subprocess.run([generator, "build", "--strict", "--clean"], cwd=WORKSPACE, check=False)
    if done.returncode == 0:
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(WORKSPACE / "site", TARGET)
        print(f"{TARGET.relative_to(ROOT)} has {len(list(TARGET.rglob('*.html')))} pages")
    return done.returncode


def _sources() -> list[Path]:
    """Return the files of the site that git knows, or would: nothing that was installed or built."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *FOLDERS, *FILES]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def _copy(path: Path, pages: Path) -> set[Path]:
    """Copy a file and the files outside that it links to; return their places below `pages`."""
    place = _place(path)
    (pages / place).parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".md":
        shutil.copyfile(path, pages / place)
        return {place}
    text, linked = _adapted(path)
    (pages / place).write_text(text, "utf-8")
    places = {place}
    for file in linked:
        (pages / _place(file)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, pages / _place(file))
        places.add(_place(file))
    return places


def _place(path: Path) -> Path:
    place = path.relative_to(ROOT)
    return place.with_name("index.md") if place.name == "README.md" else place


def _adapted(path: Path) -> tuple[str, list[Path]]:
    """Return a page as the site has it, and the files outside of the site's folders that it links to."""
    linked: list[Path] = []

    def replace(match: re.Match[str]) -> str:
        target, _, anchor = match["target"].partition("#")
        if EXTERNAL.match(match["target"]):
            return match[0]
        file = (path.parent / target).resolve()
        anchor = f"#{anchor}" if anchor else ""
        if file.is_dir():
            if not (file / "README.md").is_file():
                return match["text"]
            return f"[{match['text']}]({target.rstrip('/')}/index.md{anchor})"
        text = _title(file) if match["text"].endswith(".md") and file.is_file() else match["text"]
        if file.name == "README.md":
            return f"[{text}]({target.removesuffix('README.md')}index.md{anchor})"
        if file.is_file() and file.suffix != ".md":
            linked.append(file)
        return f"[{text}]({match['target']})"

    text = path.read_text("utf-8")
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(replace, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(replace, text[end:])]), linked


def _title(page: Path) -> str:
    return next(line for line in page.read_text("utf-8").splitlines() if line.startswith("# ")).removeprefix("# ")


def _with_navigation(text: str, pages: list[str]) -> str:
    """Put the pages of a folder where the navigation names the folder, its index first, and the rest under More."""

    def inside(match: re.Match[str]) -> str:
        children = [page for page in pages if Path(page).parent == Path(match[1])]
        return json.dumps(sorted(children, key=lambda page: (not page.endswith("/index.md"), page)))

    completed = re.sub(r'\["([\w/-]+)/"\]', inside, text)
    more = json.dumps([page for page in pages if f'"{page}"' not in completed])
    section = f'{{ "More" = {more} }},' if more != "[]" else ""
    return completed.replace('{ "More" = [] },', section)


if __name__ == "__main__":
    sys.exit(main())
