//! Model importers (TorchScript, safetensors, tokenizers), graph IR and executor.
