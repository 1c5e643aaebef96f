"""What a newcomer meets: no microphone, a server that is gone, and is back, one that stops, an agent without sound."""

from bench import CHROMIUM, Server, accessible, eventually, open_page, shot, transcript


def trouble(play):
    # Nobody is there to allow the microphone.
    chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"])
    with Server("--agent", "pizza") as server:
        context = chromium.new_context(viewport={"width": 1360, "height": 860})
        page = open_page(context, server.page)
        page.get_by_role("button", name="Call, with the microphone").click()
        page.get_by_role("alert").get_by_text("No microphone was found").wait_for()
        page.locator(".state", has_text="No call").wait_for()
        accessible(page, "no microphone")
        shot(page, "trouble-microphone")
        # The network is gone for a while: the page says so, and goes on by itself.
        page.get_by_role("button", name="Call without a microphone").click()
        eventually("the greeting", lambda: transcript(page))
        other = open_page(context, server.page.replace("#key", "?2#key"))
        other.get_by_role("link", name="Live").click()
        other.locator(".rows a").click()
        eventually("the call", lambda: other.locator(".watch .line").count())
        cut = "**/calls?running=true"
        other.route(cut, lambda route: route.abort())
        other.get_by_role("alert").get_by_text("The server does not answer").wait_for()
        assert other.locator(".rows a").count() == 1, "what was known is still there"
        other.unroute(cut)
        eventually("the bar goes", lambda: other.locator(".lost > *").count() == 0)
        assert other.locator(".toast.bad").count() == 0
        # The server is gone for good, in the middle of a call.
        server.process.kill()
        page.get_by_text("The connection to the server was lost.", exact=True).wait_for()
        page.locator(".state", has_text="Over").wait_for()
        other.get_by_role("alert").get_by_text("The server does not answer").wait_for()
        for view in ("History", "Agents"):
            other.get_by_role("link", name=view).click()
            other.wait_for_timeout(3500)
        assert other.locator(".toast.bad").count() == 0, "told once, by the bar"
        shot(other, "trouble-gone")
        accessible(other, "a server that is gone")
    with Server("--agent", "pizza") as server:
        page = open_page(chromium.new_context(viewport={"width": 1360, "height": 860}), server.page)
        page.get_by_role("button", name="Call without a microphone").click()
        eventually("the greeting", lambda: transcript(page))
        server.process.terminate()
        other = open_page(chromium.new_context(), server.page)
        other.get_by_role("button", name="Call without a microphone").click()
        other.get_by_role("alert").get_by_text("takes no new calls").wait_for()
        other.get_by_role("link", name="Agents").click()
        other.get_by_text("The server is about to stop").wait_for()
    with Server("--agent", "pizza", "--transport", "conversation-relay") as server:
        page = open_page(chromium.new_context(), server.page)
        assert page.locator("#agent").inner_text() == "pizza (text only)"
        page.get_by_role("button", name="Call without a microphone").click()
        page.get_by_role("alert").get_by_text("offhook call … --type talks to it").wait_for()
    chromium.close()
