#!/usr/bin/env escript
%%! +S 2
-mode(compile).
%% Timers of the runtime fire at whole milliseconds: the deadline is one of those.
burn(N) -> burn((N + 1) rem 1000).
late() ->
    Due = erlang:monotonic_time(millisecond) + 2,
    erlang:send_after(Due, self(), due, [{abs, true}]),
    receive due -> ok end,
    (erlang:monotonic_time(nanosecond) - Due * 1000000) / 1000.
main(_) ->
    [spawn(fun() -> burn(0) end) || _ <- lists:seq(1, erlang:system_info(schedulers))],
    timer:sleep(20),
    Late = lists:sort([late() || _ <- lists:seq(1, 1000)]),
    io:format("us ~p~n", [lists:nth(990, Late)]).
