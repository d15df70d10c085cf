class MiniClassifier(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  _is_full_backward_hook : Optional[bool]
  hidden : __torch__.torch.nn.modules.linear.___torch_mangle_23.Linear
  out : __torch__.torch.nn.modules.linear.___torch_mangle_24.Linear
  def forward(self: __torch__.MiniClassifier,
    embedding: Tensor) -> Tensor:
    out = self.out
    hidden = self.hidden
    input = torch.relu((hidden).forward(embedding, ))
    return (out).forward(input, )
