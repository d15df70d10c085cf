#!/usr/bin/env escript
%%! +S 2
-mode(compile).
node(Right, Main) ->
    receive 0 -> Main ! done;
            N -> Right ! (N - 1), node(Right, Main) end.
main(_) ->
    Main = self(),
    {T, _} = timer:tc(fun() ->
        First = spawn(fun() -> receive {right, R} -> node(R, Main) end end),
        Last = lists:foldl(fun(_, Right) -> spawn(fun() -> node(Right, Main) end) end, First, lists:seq(1, 999)),
        First ! {right, Last},
        Last ! 1000000,
        receive done -> ok end
    end),
    io:format("ms ~p~n", [T / 1000]).
