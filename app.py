"""The app: python app.py opens the page in a browser's reach, offline and in seconds."""

from guidance.ui.app import main

if __name__ == "__main__":
    main()
