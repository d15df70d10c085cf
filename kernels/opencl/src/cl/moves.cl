// Elements moved as words of type W.

// ids (chunk of the run, place, run before the axis): runs of `inner` words picked along an axis of `size`.
kernel void take(
    global const W *restrict x, int at, int size, int inner, int chunk, global const int *restrict places,
    global W *restrict out)
{
    int place = get_global_id(1), start = get_global_id(0) * chunk, end = min(start + chunk, inner);
    size_t outer = get_global_id(2);
    x += at + (outer * size + places[place]) * inner;
    out += (outer * get_global_size(1) + place) * inner;
    for (int i = start; i < end; i++) out[i] = x[i];
}

// ids (chunk of the run, run): runs of `inner` words to every `pitch` words.
kernel void lay(
    global const W *restrict x, int at, int inner, int chunk, int pitch, int shift, global W *restrict out)
{
    int start = get_global_id(0) * chunk, end = min(start + chunk, inner);
    size_t run = get_global_id(1);
    x += at + run * inner;
    out += run * pitch + shift;
    for (int i = start; i < end; i++) out[i] = x[i];
}
