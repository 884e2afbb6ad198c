"""What the page looks like: every string that reaches a browser is made, and escaped, here."""
