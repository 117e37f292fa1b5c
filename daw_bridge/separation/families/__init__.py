"""One folder a model family; the loader is the only module that knows them all."""
