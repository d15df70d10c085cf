class ControlFlow(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  _is_full_backward_hook : Optional[bool]
  limit : int
  mode : str
  scale : float
  a : __torch__.torch.nn.modules.linear.Linear
  b : __torch__.torch.nn.modules.linear.Linear
  layers : __torch__.torch.nn.modules.container.ModuleList
  def forward(s: __torch__.ControlFlow,
    x: Tensor,
    n: Tensor) -> Tuple[Tensor, Tensor]:
    _0 = "AssertionError: last dim must be 4"
    _1 = uninitialized(Tensor)
    _2 = uninitialized(bool)
    if torch.eq(torch.dim(x), 1):
      x0 = torch.unsqueeze(x, 0)
    else:
      x0 = x
    if torch.eq(torch.size(x0, 1), 4):
      pass
    else:
      ops.prim.RaiseException(_0)
    outs = annotate(List[Tensor], [])
    stats = annotate(Dict[str, float], {})
    layers = s.layers
    _00 = getattr(layers, "0")
    _10 = getattr(layers, "1")
    y = torch.relu((_00).forward(x0, ))
    if torch.gt(float(torch.sum(y)), 2.):
      y1 = torch.div(y, 1.)
      torch._set_item(stats, "big", 0.)
      y0 = y1
    else:
      y0 = torch.add(y, 1)
    _3 = torch.append(outs, y0)
    y2 = torch.relu((_10).forward(x0, ))
    if torch.gt(float(torch.sum(y2)), 2.):
      y4 = torch.div(y2, 2.)
      torch._set_item(stats, "big", 1.)
      y3 = y4
    else:
      y3 = torch.add(y2, 1)
    _4 = torch.append(outs, y3)
    k = int(torch.item(n))
    _5 = 0
    _6 = torch.gt(k, 0)
    while _6:
      if torch.eq(_5, 5):
        _7, _8, _9 = True, False, _2
      else:
        _11 = torch.eq(torch.remainder(_5, 2), 1)
        if _11:
          _12, _13, _14 = True, True, _2
        else:
          _15 = outs[-1]
          scale = s.scale
          _16 = torch.append(outs, torch.mul(_15, scale))
          _12, _13, _14 = False, _2, True
        _7, _8, _9 = _12, _13, _14
      if _7:
        _17 = _8
      else:
        _17 = _9
      _18 = torch.add(_5, 1)
      _19 = torch.__and__(torch.lt(_18, k), _17)
      _6, _5 = _19, _18
    best: Optional[Tensor] = None
    for _20 in range(torch.len(outs)):
      o = outs[_20]
      if torch.__is__(best, None):
        best0 = o
      else:
        best1 = unchecked_cast(Tensor, best)
        mode = s.mode
        if torch.eq(mode, "sum"):
          best2 = torch.add(best1, o)
        else:
          best2 = best1
        best0 = best2
      best = best0
    if torch.__isnot__(best, None):
      best3 = unchecked_cast(Tensor, best)
    else:
      ops.prim.RaiseException("AssertionError: ")
      best3 = _1
    if torch.__contains__(stats, "big"):
      best4 = torch.sub(best3, stats["big"])
    else:
      best4 = best3
    m = (s).steps(best4, )
    _21 = (best4, torch.tensor([m, torch.len(outs)]))
    return _21
  def steps(s: __torch__.ControlFlow,
    x: Tensor) -> int:
    _21 = torch.gt(float(torch.max(torch.abs(x))), 1.)
    if _21:
      limit = s.limit
      _22 = torch.lt(0, limit)
    else:
      _22 = False
    n = 0
    x1 = x
    _23 = _22
    while _23:
      x2 = torch.mul(x1, 0.5)
      n0 = torch.add(n, 1)
      _24 = torch.gt(float(torch.max(torch.abs(x2))), 1.)
      if _24:
        limit0 = s.limit
        _25 = torch.lt(n0, limit0)
      else:
        _25 = False
      _23, n, x1 = _25, n0, x2
    return n
