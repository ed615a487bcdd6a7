"""`make docs`: write the tables of each page anew."""

from services.local.reference.pages import PAGES, rendered


def main() -> None:
    for page in PAGES:
        page.write_text(rendered(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
