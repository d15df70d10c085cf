#!/usr/bin/env escript
%%! +S 2
-mode(compile).
build(0) -> {leaf, leaf};
build(D) -> {build(D - 1), build(D - 1)}.
count(leaf) -> 0;
count({L, R}) -> 1 + count(L) + count(R).
main(_) ->
    {T, Total} = timer:tc(fun() -> lists:sum([count(build(14)) || _ <- lists:seq(1, 20)]) end),
    io:format("~p~nms ~p~n", [Total, T / 1000]).
