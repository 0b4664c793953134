"""What a record says of how it was made."""

from formarium.lab.record import command


def test_a_command_leaves_out_where_results_went() -> None:
    typed = ["prove", "a/b", "--out", "/home/me/runs", "--minutes", "20", "--records=there", "--set", "x=a b"]
    assert command(typed) == "formarium prove a/b --minutes 20 --set 'x=a b'"
