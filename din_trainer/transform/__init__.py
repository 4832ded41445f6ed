"""Raw features to ids and numbers: schema, Transform code, files of embeddings."""
