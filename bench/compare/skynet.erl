#!/usr/bin/env escript
%%! +S 2 +P 4000000
-mode(compile).
skynet(To, Number, 1) -> To ! Number;
skynet(To, Number, Size) ->
    Part = Size div 10,
    Me = self(),
    [spawn(fun() -> skynet(Me, Number + I * Part, Part) end) || I <- lists:seq(0, 9)],
    To ! lists:sum([receive N -> N end || _ <- lists:seq(0, 9)]).
main(_) ->
    Me = self(),
    {T, R} = timer:tc(fun() -> spawn(fun() -> skynet(Me, 0, 1000000) end), receive N -> N end end),
    io:format("~p~nms ~p~n", [R, T / 1000]).
