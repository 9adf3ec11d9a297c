"""The report that a person reads."""

from msgspec.structs import replace

from core import paths
from streamgap.core.diagnosis import diagnose
from streamgap.core.probe import Asked, Ending, Probe
from streamgap.doctor.examine import Examination
from streamgap.doctor.knowledge import load_hops
from streamgap.doctor.path import Diagnosis, Examined, Tap, charges
from streamgap.doctor.report import text

HOPS = load_hops()
NGINX = (("server", "nginx/1.22.1"),)


async def never(_asked: Asked) -> Probe:
    raise AssertionError


def examined(name: str, path: paths.Path) -> Examined:
    probes = tuple(paths.examined(path))
    tap = Tap(name=name, url=f"https://{name}.test/drip", tls=True, ask=never)
    return Examined(tap=tap, examination=Examination(probes=probes, findings=diagnose(probes)))


def report(*taps: Examined) -> str:
    return text(Diagnosis(taps=taps, charges=charges(taps, hops=HOPS)), colours=False, width=100)


def test_a_held_path_is_told_by_hop_place_and_line_of_configuration() -> None:
    """What happened, where, what to do, and the page that explains it, in the order in which it is needed."""
    holding = paths.only(paths.tls, paths.blocks(16_384, framing=True))
    told = report(
        examined("app", paths.Path(secure=True)),
        examined("edge", paths.Path(stages=(holding,), secure=True, headers=NGINX)),
    )
    order = ["HELD  https://edge.test", "SG103 nginx: ", "between app and edge", "proxy_buffering off;", "SG103.md"]
    places = [told.index(part) for part in order]
    assert places == sorted(places)


def test_a_path_that_flows_accuses_nobody() -> None:
    """No suspect, no remedy: the code of a stream that flows, and the pictures."""
    told = report(examined("edge", paths.Path(headers=NGINX)))
    assert told.startswith("FLOWING  ")
    assert "SG100" in told
    assert "to free it" not in told


def test_the_picture_is_of_the_probe_with_most_to_see() -> None:
    """Of probes that flow and one that was held, the held one is drawn."""
    flowing, held = (paths.examined(paths.Path(stages=stages))[0] for stages in ((), (paths.whole,)))
    held = replace(held, asked=replace(held.asked, name="the one"))
    told = report(
        Examined(
            tap=Tap(name="edge", url="http://edge.test/", tls=False, ask=never),
            examination=Examination(probes=(flowing, held), findings=diagnose((flowing, held))),
        )
    )
    assert "the one: · written, █ has come" in told


def test_a_failure_is_told_in_the_servers_words_without_obeying_them() -> None:
    """What a server sent reaches the terminal as text."""
    asked = paths.examined(paths.Path())[0].asked
    probe = Probe(asked=asked, ending=Ending.REFUSED, failure="got \x1b[2Jgarbage", end_ms=1.0)
    tap = Tap(name="edge", url="http://edge.test/", tls=False, ask=never)
    examination = Examination(probes=(probe,), findings=diagnose((probe,)))
    assert "\x1b" not in report(Examined(tap=tap, examination=examination))
