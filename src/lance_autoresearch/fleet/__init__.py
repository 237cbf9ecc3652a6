"""How do several machines and CPU kinds judge one candidate, over Dask distributed?"""
