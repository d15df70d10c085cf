#!/usr/bin/env escript
%%! +S 2 +P 4000000
-mode(compile).
main(_) ->
    Parent = self(),
    {T, R} = timer:tc(fun() ->
        Refs = [begin Ref = make_ref(), spawn(fun() -> Parent ! {Ref, I + 1} end), Ref end || I <- lists:seq(0, 999999)],
        lists:sum([receive {Ref, V} -> V end || Ref <- Refs])
    end),
    io:format("~p~nms ~p~n", [R, T / 1000]).
