#!/usr/bin/env escript
%%! +S 2
-mode(compile).
fib(N) when N < 2 -> N;
fib(N) -> fib(N - 1) + fib(N - 2).
main(_) ->
    {T, R} = timer:tc(fun() -> fib(32) end),
    io:format("~p~nms ~p~n", [R, T / 1000]).
