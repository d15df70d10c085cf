#!/usr/bin/env escript
%%! +S 2
-mode(compile).
adder(Total) ->
    receive {ask, From, Ref, N} -> From ! {Ref, Total + N}, adder(Total + N) end.
ask(_, 500000, Last) -> Last;
ask(Adder, I, _) ->
    Ref = make_ref(),
    Adder ! {ask, self(), Ref, I},
    receive {Ref, Answer} -> ask(Adder, I + 1, Answer) end.
main(_) ->
    {T, Last} = timer:tc(fun() -> ask(spawn(fun() -> adder(0) end), 0, 0) end),
    io:format("~p~nms ~p~n", [Last, T / 1000]).
