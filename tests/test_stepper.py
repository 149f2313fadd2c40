"""The stepper page in a real browser."""


def test_a_page_writes_down_what_it_says_and_asks_for(browser_page):
    page = browser_page.open_page("<p>hello</p><script>console.log('said')</script><img src='http://localhost:9/x'>")
    assert page.inner_text("p") == "hello"
    assert "log: said" in browser_page.messages
    assert browser_page.requests == ["http://localhost:9/x"]
