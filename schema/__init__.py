"""The vocabulary of the contract: types, inputs, results, loaders."""

from schema import vocabulary as vocabulary
