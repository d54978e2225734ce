{# Within each dimension the values add up to everybody, for each key and each of the counts. Every key has every dimension; null is a key
   like any other. #}
{% test segments_add_up(model, keys, counts) %}
with by_segment as (
    select
        {{ keys | join(', ') }},
        segment,
        {%- for count in counts %}
        coalesce(sum({{ count }}), 0) as {{ count }},
        {%- endfor %}
    from {{ model }}
    group by {{ keys | join(', ') }}, segment
)

select {{ keys | join(', ') }}, count(*) as segments
from by_segment
group by {{ keys | join(', ') }}
having count(*) <> {{ neopulse.dimensions() | length + 1 }}
    {%- for count in counts %}
    or min({{ count }}) <> max({{ count }})
    {%- endfor %}
{% endtest %}
