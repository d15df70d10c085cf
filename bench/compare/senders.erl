#!/usr/bin/env escript
%%! +S 2
-mode(compile).
receiver(0, Total) -> Total;
receiver(Left, Total) -> receive N -> receiver(Left - 1, Total + N) end.
send(_, N, N) -> ok;
send(To, I, N) -> To ! I, send(To, I + 1, N).
main(_) ->
    Me = self(),
    {T, R} = timer:tc(fun() ->
        [spawn(fun() -> send(Me, 0, 10000) end) || _ <- lists:seq(1, 100)],
        receiver(1000000, 0)
    end),
    io:format("~p~nms ~p~n", [R, T / 1000]).
