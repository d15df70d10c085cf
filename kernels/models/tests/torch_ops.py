"""Writes tests/data/torch_ops.json: what PyTorch's operators give for expressions as archives spell them.

python torch_ops.py    # made with torch 2.15

Each case is a shape of `x`, an expression of it and the numbers of all its results. `x` counts through sevenths.
"""
import json
import pathlib

import torch


CASES = """
1,2,4 | torch.upsample_nearest1d(x, [7])
1,2,4 | torch.upsample_nearest1d(x, None, [1.7])
1,1,2,3,2 | torch.upsample_nearest3d(x, [3, 2, 5])
1,1,3,4 | torch._upsample_nearest_exact2d(x, [5, 3])
1,2,5 | torch.upsample_linear1d(x, [8], False)
1,2,5 | torch.upsample_linear1d(x, None, True, [1.5])
1,1,2,3,2 | torch.upsample_trilinear3d(x, [3, 2, 4], False)
1,1,4,5 | torch.upsample_bicubic2d(x, [7, 3], False)
1,1,4,5 | torch.upsample_bicubic2d(x, [7, 3], True)
1,1,4,5 | torch.upsample_bicubic2d(x, None, False, [1.5, 2.0])
1,1,6,7 | torch._upsample_bilinear2d_aa(x, [3, 4], False)
1,1,6,7 | torch._upsample_bicubic2d_aa(x, [3, 4], False)
1,1,4,5 | torch.upsample_bilinear2d(x, [6, 8], False, 1.4, 1.7)
1,2,5,5 | torch.max_pool2d_with_indices(x, [3, 2], [2, 2], [1, 0])
2,6 | torch.adaptive_max_pool1d(x, [4])
1,5,6 | torch.adaptive_max_pool2d(x, [2, 4])
1,2,4,5,4 | torch.max_pool3d(x, [2, 3, 2], [2, 1, 2], [1, 1, 0])
1,2,4,5,4 | torch.avg_pool3d(x, [2, 3, 2], [2, 1, 2], [1, 1, 0], False, False)
2,4,5,4 | torch.avg_pool3d(x, [2, 3, 2], [2, 2, 2], [0, 1, 1], True, True, 5)
2,4,3,5 | torch.adaptive_avg_pool3d(x, [3, 2, 2])
1,2,3,4,3 | torch.conv3d(x, torch.view(torch.mul(torch.arange(16), 1.0), [1, 2, 2, 2, 2]), None, [1, 2, 1], [1, 0, 1], [2, 1, 1])
1,2,3,2,3 | torch.conv_transpose3d(x, torch.view(torch.mul(torch.arange(16), 1.0), [2, 1, 2, 2, 2]), torch.ones([1]), [2, 1, 1], [1, 0, 1], [1, 0, 0])
1,1,5 | torch._convolution_mode(x, torch.ones([1, 1, 4]), None, [1], "same", [1], 1)
1,2,4,5 | torch.im2col(x, [2, 3], [1, 2], [1, 0], [1, 1])
1,8,6 | torch.col2im(x, [3, 4], [2, 2], [1, 1], [0, 0], [1, 1])
2,4,4 | torch.pixel_unshuffle(x, 2)
1,6,2,2 | torch.channel_shuffle(x, 3)
3,4 | torch.index_add(x, 1, torch.tensor([2, 0, 2]), torch.ones([3, 3]), alpha=2)
3,4 | torch.index_copy(x, 0, torch.tensor([2, 0]), torch.ones([2, 4]))
3,4 | torch.index_fill(x, 1, torch.tensor([-1, 1]), 9.0)
2,4 | torch.scatter_reduce(x, 1, torch.tensor([[0, 0, 3, 0], [1, 1, 1, 2]]), torch.mul(x, x), "sum", include_self=False)
2,4 | torch.scatter_reduce(x, 1, torch.tensor([[0, 0, 3, 0], [1, 1, 1, 2]]), torch.mul(x, x), "mean")
2,4 | torch.scatter_reduce(x, 1, torch.tensor([[0, 0, 3, 0], [1, 1, 1, 2]]), torch.mul(x, x), "amax", include_self=False)
2,4 | torch.scatter_reduce(x, 1, torch.tensor([[0, 0, 3, 0], [1, 1, 1, 2]]), torch.mul(x, x), "prod")
2,4 | torch.take_along_dim(x, torch.tensor([[3], [0]]), 1)
2,5 | torch.logcumsumexp(x, 1)
2,3 | torch.broadcast_tensors([x, torch.ones([4, 1, 1])])
4,3 | torch.cdist(x, torch.neg(x), 2.0)
2,5 | torch.cumprod(x, 1)
2,5 | torch.cummax(torch.sin(torch.mul(x, 9)), 1)
2,5 | torch.cummin(torch.sin(torch.mul(x, 9)), 0)
3,4 | torch.median(torch.sin(torch.mul(x, 9)))
3,4 | torch.median(torch.sin(torch.mul(x, 9)), 1)
3,4 | torch.kthvalue(torch.sin(torch.mul(x, 9)), 2, 0, True)
3,4 | torch.msort(torch.sin(torch.mul(x, 9)))
4 | torch.outer(x, torch.neg(x))
3 | torch.meshgrid([x, torch.neg(x)], indexing="xy")
3 | torch.diag(x, -1)
3,3 | torch.diag(x, 1)
3 | torch.hstack([x, x])
3 | torch.vstack([x, x])
2,7 | torch.tensor_split(x, 3, 1)
2,3 | torch.lerp(x, torch.neg(x), 0.25)
2,3 | torch.addcmul(x, x, x, value=0.5)
2,3 | torch.addcdiv(x, x, torch.add(x, 1), value=2)
2,3 | torch.atan2(torch.sub(x, 0.5), torch.neg(x))
2,3 | torch.fmax(x, torch.log(torch.sub(x, 0.3)))
2,3 | torch.bucketize(x, torch.tensor([0.0, 0.2, 0.5]), right=True)
2,3 | torch.searchsorted(torch.tensor([0.0, 0.2, 0.5]), x)
2,3 | torch.hardshrink(torch.sub(x, 0.5), 0.2)
2,3 | torch.rrelu(torch.sub(x, 0.5), 0.125, 0.375, False)
2,3 | torch.cosine_similarity(x, torch.sub(x, 0.5), 1)
2,3 | torch.pairwise_distance(x, torch.mul(x, x))
2,3 | torch.bilinear(x, torch.neg(x), torch.view(torch.mul(torch.arange(18), 1.0), [2, 3, 3]), torch.ones([2]))
2,3 | torch._weight_norm(torch.add(x, 1), torch.ones([2, 1]), 0)
2,3 | torch.rnn_tanh_cell(x, torch.ones([2, 2]), torch.ones([2, 3]), torch.ones([2, 2]), torch.ones([2]), None)
4,3 | torch.unsafe_chunk(x, 2, 0)
2,3 | torch.asin(torch.mul(x, 0.5))
2,5 | torch.logcumsumexp(torch.mul(x, -2000), 1)
5,3 | torch.cosine_similarity(torch.add(x, 1), torch.ones([1, 3]), 0)
2,3 | torch.max_pool2d_with_indices(torch.view(x, [1, 1, 2, 3]), [3, 3], [3, 3], [0, 0], [1, 1], True)
2,3 | torch.avg_pool2d(torch.view(x, [1, 1, 2, 3]), [3, 2], [2, 2], [0, 0], True)
1 | torch.scatter_reduce(torch.arange(3), 0, torch.tensor([1]), torch.tensor([-5]), "amax", include_self=False)
3 | torch.sinh(torch.arange(3))
2,4 | torch.diff(x, 2, 1, torch.ones([2, 1]), torch.neg(x))
2,3 | torch.diff(x, 1, 0, None, x)
2,3 | torch._shape_as_tensor(x)
2,5 | torch.where(torch.gt(x, 0.3))
3,2 | torch.view_as_real(torch.mul(torch.view_as_complex(x), torch.select(torch.polar(torch.add(x, 1), torch.neg(x)), 1, 0)))
3,4,2 | torch.view_as_real(torch.mul(torch.transpose(torch.view_as_complex(x), 0, 1), torch.slice(torch.unsqueeze(torch.complex(torch.ones([3]), torch.ones([3])), 0), 1, 0, 3)))
3,2 | torch.real(torch.mul(torch.view_as_complex(x), torch.conj(torch.view_as_complex(x))))
1,2,4,5 | torch.grid_sampler(x, torch.view(torch.sub(torch.mul(torch.arange(12), 0.21), 1.2), [1, 2, 3, 2]), 0, 0, False)
1,2,4,5 | torch.grid_sampler(x, torch.view(torch.sub(torch.mul(torch.arange(12), 0.21), 1.2), [1, 2, 3, 2]), 0, 1, True)
1,2,4,5 | torch.grid_sampler(x, torch.view(torch.sub(torch.mul(torch.arange(12), 0.21), 1.2), [1, 2, 3, 2]), 1, 2, False)
1,2,4,5 | torch.grid_sampler(x, torch.view(torch.sub(torch.mul(torch.arange(12), 0.21), 1.2), [1, 2, 3, 2]), 2, 2, True)
1,2,4,5 | torch.grid_sampler(x, torch.view(torch.sub(torch.mul(torch.arange(12), 0.21), 1.2), [1, 2, 3, 2]), 2, 0, False)
1,1,3,4,2 | torch.grid_sampler(x, torch.view(torch.sub(torch.mul(torch.arange(12), 0.21), 1.2), [1, 2, 2, 1, 3]), 0, 2, False)
1,1,3,4,2 | torch.grid_sampler(x, torch.view(torch.sub(torch.mul(torch.arange(12), 0.21), 1.2), [1, 2, 2, 1, 3]), 1, 0, True)
2,2,3 | torch.affine_grid_generator(x, [2, 1, 2, 3], False)
2,2,3 | torch.affine_grid_generator(x, [2, 1, 3, 2], True)
1,3,4 | torch.affine_grid_generator(x, [1, 1, 2, 3, 2], True)
2,7 | torch.view_as_real(torch.fft_rfft(x))
2,7 | torch.view_as_real(torch.fft_rfft(x, 8, 0, "ortho"))
2,7 | torch.view_as_real(torch.fft_fft(x, 5))
4,2 | torch.view_as_real(torch.fft_ifft(torch.view_as_complex(x), norm="forward"))
4,2 | torch.fft_irfft(torch.view_as_complex(x))
4,2 | torch.fft_irfft(torch.view_as_complex(x), 7, -1, "ortho")
2,20 | torch.abs(torch.stft(x, 8, 3, 6, torch.ones([6]), False, True, True))
20 | torch.view_as_real(torch.stft(x, 8, None, None, None, True, False, True))
3,5,4 | torch.view_as_real(torch.fft_fft2(x, [4, 6]))
3,5,4 | torch.view_as_real(torch.fft_ifftn(x, None, [0, 2], "ortho"))
3,5,4 | torch.view_as_real(torch.fft_rfftn(x, [4, -1], None, "forward"))
2,3,4,2 | torch.fft_irfft2(torch.view_as_complex(x), None, [-2, -1])
2,3,4,2 | torch.fft_irfftn(torch.view_as_complex(x), [3, 5], [1, 0], "forward")
3,4 | torch.fft_fftshift(x)
3,5 | torch.fft_ifftshift(x, [1])
5,6,2 | torch.istft(torch.view_as_complex(x), 8, 3, 7, torch.add(torch.arange(7), 1.0))
2,8,4,2 | torch.istft(torch.view_as_complex(x), 8, 3, None, None, False, True, False, 19)
4,2 | torch.angle(torch.view_as_complex(torch.sub(x, 0.4)))
2,3 | torch.angle(torch.sub(x, 0.4))
"""


def flat(value):
    if isinstance(value, torch.Tensor):
        return value.flatten().tolist()
    return [number for item in value for number in flat(item)]


def main():
    cases = []
    for line in CASES.strip().splitlines():
        shape, code = (part.strip() for part in line.split("|"))
        sizes = [int(n) for n in shape.split(",")]
        count = 1
        for n in sizes:
            count *= n
        x = (torch.arange(count) * 5 % 7 / 7).reshape(sizes)
        value = eval(code, {"torch": Namespace(), "x": x})
        cases.append({"shape": sizes, "code": code, "want": [float(f"{number:.6g}") for number in flat(value)]})
    path = pathlib.Path(__file__).resolve().parent / "data/torch_ops.json"
    path.write_text("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")


class Namespace:
    """Constructors as Python has them, operators as archives do."""

    def __getattr__(self, name):
        made = ("tensor", "ones", "arange")
        return getattr(torch, name) if name in made else getattr(torch.ops.aten, name)


main()
