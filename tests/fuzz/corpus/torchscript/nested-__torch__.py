class Nested(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  _is_full_backward_hook : Optional[bool]
  def forward(s: __torch__.Nested,
    x: Tensor,
    pair: Tuple[Tensor, Optional[Tensor]]) -> Dict[str, Tensor]:
    a, b, = pair
    if torch.__isnot__(b, None):
      b0 = unchecked_cast(Tensor, b)
      a0 = torch.add(a, b0)
    else:
      a0 = a
    _0 = {"prod": torch.mul(x, a0), "sum": torch.add(x, a0)}
    return _0
