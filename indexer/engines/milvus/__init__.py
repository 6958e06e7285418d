"""Milvus by pymilvus: a collection a lake, an HNSW index; a server, or Milvus Lite in a folder."""
