"""The vocabulary of the contract: types, inputs, results, loaders."""
